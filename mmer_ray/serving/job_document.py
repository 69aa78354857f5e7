"""A job as clients see it: `mmer.job/1`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from mmer_ray.serving.job_table import Job, JobStatus

SCHEMA = "mmer.job/1"


class JobError(BaseModel):
    """Why a job failed: as in the answer to a request that is refused."""

    message: str
    type: str
    param: str | None
    code: str


class JobDocument(BaseModel):
    """One job. Times are seconds since 1970 (UTC)."""

    id: str
    object: Literal["job"] = "job"
    schema_: Literal["mmer.job/1"] = Field("mmer.job/1", alias="schema")
    status: JobStatus
    attempts: int
    """How often it was begun."""
    size_bytes: int
    """Of the sound."""
    created_at: int
    started_at: int | None
    ended_at: int | None
    expires_at: int | None
    """When it is forgotten; None until it has ended."""
    error: JobError | None
    result: dict[str, Any] | None = None
    """The analysis (`mmer.analysis/1`) of a job that succeeded. Not in lists."""


class JobList(BaseModel):
    """One page of jobs, the newest first."""

    object: Literal["list"] = "list"
    data: list[JobDocument]
    first_id: str | None
    last_id: str | None
    has_more: bool
    """Whether `after=last_id` gives more."""


class JobDeleted(BaseModel):
    """A job that is forgotten."""

    id: str
    object: Literal["job.deleted"] = "job.deleted"
    deleted: Literal[True] = True


def job_json(job: Job, keep_s: float, result: bytes | None = None) -> bytes:
    """A job with its result, which is JSON already: megabytes of it are not read again."""
    head = json.dumps(_facts(job, keep_s)).encode()
    return head[:-1] + b', "result": ' + (b"null" if result is None else result) + b"}"


def jobs_json(jobs: Sequence[Job], keep_s: float, *, has_more: bool) -> bytes:
    """One page of jobs, without results."""
    document = {
        "object": "list",
        "data": [_facts(job, keep_s) for job in jobs],
        "first_id": jobs[0].job_id if jobs else None,
        "last_id": jobs[-1].job_id if jobs else None,
        "has_more": has_more,
    }
    return json.dumps(document).encode()


def _facts(job: Job, keep_s: float) -> dict[str, Any]:
    return {
        "id": job.job_id,
        "object": "job",
        "schema": SCHEMA,
        "status": job.status.value,
        "attempts": job.attempts,
        "size_bytes": job.size_bytes,
        "created_at": int(job.created),
        "started_at": None if job.started is None else int(job.started),
        "ended_at": None if job.ended is None else int(job.ended),
        "expires_at": None if job.ended is None else int(job.ended + keep_s),
        "error": job.error,
    }
