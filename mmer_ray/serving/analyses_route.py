"""`POST /v1/audio/analyses`: everything that is known of one recording, at once or as a job."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from mmer_ray.serving.analysis import document
from mmer_ray.serving.analysis_form import asked_of
from mmer_ray.serving.api_errors import ApiError
from mmer_ray.serving.arrival import ANALYSES_PATH, asks_for_job
from mmer_ray.serving.descriptions import analysis_operation
from mmer_ray.serving.exchange import answered
from mmer_ray.serving.form_fields import called_as_sent
from mmer_ray.serving.jobs_route import queued
from mmer_ray.serving.service import Service
from mmer_ray.serving.transcription_formats import json_bytes
from mmer_ray.serving.upload import received_form


def analyses_router(service: Service) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["audio"])

    @router.post(ANALYSES_PATH, response_class=Response, **analysis_operation(service.options))
    async def create_analysis(request: Request) -> Response:
        """Analyse one recording; the answer is waited for. With `Prefer: respond-async` it becomes a job."""
        if asks_for_job(request.headers.get("prefer", "").encode()):
            return await queued(service, request, asked_of)
        form = await received_form(request, service.options)

        async def answer() -> Response:
            asked = await asked_of(await service.audio_urls.filled(form, service.options.max_body_bytes))
            try:
                scored = await answered(service, request, asked)
            except ApiError as error:
                raise called_as_sent(error) from error
            served = await service.served()
            body = await asyncio.to_thread(lambda: json_bytes(document(scored, served)))
            return Response(body, media_type="application/json")

        return await service.idempotency.once(request, form, answer)

    return router
