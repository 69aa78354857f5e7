"""`/v1/jobs`: audio is handed in, and its analysis is asked for later. Jobs of another key are not there (404)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.access import caller_of
from mmer_ray.serving.api_errors import ApiError, invalid
from mmer_ray.serving.arrival import asks_for_job
from mmer_ray.serving.audio_form import looked_at
from mmer_ray.serving.audio_url import AudioUrls
from mmer_ray.serving.idempotency import Idempotency
from mmer_ray.serving.interface import Asked
from mmer_ray.serving.job_document import JobDeleted, JobDocument, JobList, job_json, jobs_json
from mmer_ray.serving.job_table import Job, JobStatus
from mmer_ray.serving.jobs import Jobs
from mmer_ray.serving.upload import Form, received_form

PATH = "/v1/jobs"
MAX_PAGE = 100
JSON = "application/json"

AskedOf = Callable[[Form], Awaitable[Asked]]
"""Reads the form of an analysis. Raises `ApiError` (400) that names a field."""


class JobService(Protocol):
    """What jobs need of the endpoint."""

    @property
    def options(self) -> ServeOptions: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def idempotency(self) -> Idempotency: ...
    @property
    def audio_urls(self) -> AudioUrls: ...


async def queued(service: JobService, request: Request, asked_of: AskedOf) -> Response:
    """Take the form of an analysis as a job: 202 with its address, before anything is decoded.

    Raises `ApiError` as `received_form`, `asked_of`, `looked_at` and `Jobs.submit` do.
    """
    form = await received_form(request, service.options, folder=service.jobs.folder)
    files = list(form.files)

    async def answer() -> Response:
        filled = await service.audio_urls.filled(form, service.options.max_job_body_bytes, service.jobs.folder)
        files.extend(filled.files)
        asked = await asked_of(filled)
        await looked_at(asked.sound)
        return await _accepted(service, request, await service.jobs.submit(caller_of(request.scope), asked))

    try:
        return await service.idempotency.once(request, form, answer)
    finally:
        left = [file.sound for file in files if isinstance(file.sound, Path)]
        await asyncio.to_thread(_removed, left)


def jobs_router(service: JobService, asked_of: AskedOf) -> APIRouter:
    """The routes of jobs."""
    routes, router = _Routes(service, asked_of), APIRouter(prefix=PATH, tags=["jobs"])

    def add(method: str, path: str, route: Callable[..., Awaitable[Response]], model: type, status: int = 200) -> None:
        told: dict[int | str, dict[str, Any]] = {status: {"model": model}}
        router.add_api_route(
            path, route, methods=[method], status_code=status, responses=told, response_class=JSONResponse
        )

    add("POST", "", routes.create_job, JobDocument, 202)
    add("GET", "", routes.list_jobs, JobList)
    add("GET", "/{job_id}", routes.get_job, JobDocument)
    add("POST", "/{job_id}/cancel", routes.cancel_job, JobDocument)
    add("DELETE", "/{job_id}", routes.delete_job, JobDeleted)
    return router


class _Routes:
    """The docstrings are the texts of the OpenAPI document."""

    def __init__(self, service: JobService, asked_of: AskedOf) -> None:
        self._service, self._asked_of = service, asked_of

    async def create_job(self, request: Request) -> Response:
        """Hand in audio, with the form of `/v1/audio/analyses`. The same audio and wishes are the same job."""
        return await queued(self._service, request, self._asked_of)

    async def list_jobs(
        self,
        request: Request,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
        after: Annotated[str | None, Query(max_length=64, description="The last id of the page before.")] = None,
    ) -> Response:
        """The jobs of this key, the newest first, without their results."""
        page = await self._service.jobs.table.page(caller_of(request.scope).key_id, limit, after)
        if page is None:
            raise invalid("after", "there is no such job")
        jobs, has_more = page
        return Response(jobs_json(jobs, self._service.options.keep_jobs_s, has_more=has_more), media_type=JSON)

    async def get_job(self, request: Request, job_id: str) -> Response:
        """How a job stands; with its analysis once it has succeeded."""
        found = await self._service.jobs.table.find(caller_of(request.scope).key_id, job_id)
        if found is None:
            raise _not_there()
        return _document(self._service, *found)

    async def cancel_job(self, request: Request, job_id: str) -> Response:
        """End a job that waits or runs."""
        job = await self._service.jobs.cancel(caller_of(request.scope), job_id)
        if job is None:
            raise _not_there()
        if job.status is not JobStatus.CANCELLED:
            message = f"the job has {job.status.value} already"
            raise ApiError(409, "job_ended", message, headers={"x-should-retry": "false"})
        return _document(self._service, job)

    async def delete_job(self, request: Request, job_id: str) -> Response:
        """Forget a job and its analysis; one that waits or runs is ended."""
        if not await self._service.jobs.delete(caller_of(request.scope), job_id):
            raise _not_there()
        return JSONResponse(JobDeleted(id=job_id).model_dump())


async def _accepted(service: JobService, request: Request, job: Job) -> Response:
    """The answer to who handed a job in; with the analysis where the same job was there, and has succeeded."""
    found = await service.jobs.table.find(caller_of(request.scope).key_id, job.job_id) if job.status.has_ended else None
    job, result = found or (job, None)
    headers = {"Location": f"{PATH}/{job.job_id}"}
    if asks_for_job(request.headers.get("prefer", "").encode()):
        headers["Preference-Applied"] = "respond-async"
    return _document(service, job, result, status=202, headers=headers)


def _document(
    service: JobService,
    job: Job,
    result: bytes | None = None,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    waiting = {} if job.status.has_ended else {"Retry-After": str(service.options.retry_after_s)}
    return Response(
        job_json(job, service.options.keep_jobs_s, result), status, {**waiting, **(headers or {})}, media_type=JSON
    )


def _not_there() -> ApiError:
    return ApiError(
        404, "job_not_found", "there is no such job of this key; jobs are forgotten some time after their end"
    )


def _removed(files: list[Path]) -> None:
    """Remove what did not become a job's."""
    for file in files:
        file.unlink(missing_ok=True)
