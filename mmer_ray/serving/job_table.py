"""The table of jobs: who waits, who works on what, what came out. Every method is one transaction.

A gateway that works on a job holds a claim, which it renews. A claim that ran out is anybody's, so that a gateway that
died holds nothing up, and what a gateway finds out after it lost its claim is not written.
"""

# What is put into statements here are constants of this file.
# ruff: noqa: S608

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.access import Caller
from mmer_ray.serving.api_errors import ApiError, no_room
from mmer_ray.serving.state_database import StateDatabase

MAX_ATTEMPTS = 3
CLAIM_S = 30.0
_ENDED = "('succeeded', 'failed', 'cancelled')"
_FACTS = "job_id, key_name, status, attempts, created, started, ended, size_bytes, error"
_LOST = ApiError(500, "worker_crash", f"the server died {MAX_ATTEMPTS} times while it scored this recording")


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class Job:
    """One job. Times are seconds since 1970."""

    job_id: str
    key_name: str
    status: JobStatus
    attempts: int
    created: float
    started: float | None
    """Begin of the last attempt."""
    ended: float | None
    size_bytes: int
    """Of the sound."""
    error: Mapping[str, Any] | None
    """Why it failed: as in the JSON of a refusal."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be queued."""

    job_id: str
    asked: bytes
    """As `stored_asked.packed`."""
    sound: str
    """Name of the file in the folder of sounds."""
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a job."""

    job: Job
    token: str
    asked: bytes
    sound: str

    @property
    def is_last(self) -> bool:
        """Whether there is no attempt after this one."""
        return self.job.attempts >= MAX_ATTEMPTS


class JobTable:
    """The jobs in a database. All methods raise `ApiError` 503 where it cannot be used at the moment."""

    def __init__(self, database: StateDatabase, options: ServeOptions) -> None:
        self._database = database
        self._options = options

    async def submit(self, caller: Caller, new: NewJob) -> tuple[Job, bool]:
        """Queue a job. Returns it, and whether its sound is used: one that waits, runs or has succeeded stays as it is.

        Raises `ApiError` 429 where this caller has too many, 503 where all have, or their sounds take too much.
        """

        def work(connection: sqlite3.Connection) -> tuple[Job, bool]:
            found = _one(connection, caller.key_id, new.job_id)
            if found is not None and found.status not in (JobStatus.FAILED, JobStatus.CANCELLED):
                return found, False
            self._check_room(connection, caller.key_id, new.size_bytes)
            connection.execute(
                "INSERT OR REPLACE INTO jobs (job_id, owner, key_name, status, created, asked, sound, size_bytes) "
                "VALUES (?, ?, ?, 'queued', ?, ?, ?, ?)",
                (new.job_id, caller.key_id, caller.name, time.time(), new.asked, new.sound, new.size_bytes),
            )
            return _surely(_one(connection, caller.key_id, new.job_id)), True

        return await self._database.run(work)

    def _check_room(self, connection: sqlite3.Connection, owner: str, size_bytes: int) -> None:
        options = self._options
        num_open, num_own, kept_bytes = connection.execute(
            "SELECT count(*), coalesce(sum(owner = ?), 0), coalesce(sum(size_bytes), 0) FROM jobs "
            f"WHERE status NOT IN {_ENDED}",
            (owner,),
        ).fetchone()
        if num_own >= options.max_jobs_per_key:
            raise no_room("rate_limit_exceeded", f"this key has {num_own} jobs", options.retry_after_s, status=429)
        if num_open >= options.max_jobs:
            raise no_room("too_many_jobs", f"{num_open} jobs wait or run", options.retry_after_s)
        if kept_bytes + size_bytes > options.max_jobs_bytes:
            raise no_room("no_space", "the sounds of jobs that wait take too much", options.retry_after_s)

    async def find(self, owner: str, job_id: str) -> tuple[Job, bytes | None] | None:
        """A job with its result, JSON; None where this owner has none of this id."""

        def work(connection: sqlite3.Connection) -> tuple[Job, bytes | None] | None:
            job = _one(connection, owner, job_id)
            if job is None:
                return None
            (result,) = connection.execute("SELECT result FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
            return job, result

        return await self._database.run(work)

    async def page(self, owner: str, limit: int, after: str | None) -> tuple[list[Job], bool] | None:
        """The newest jobs of an owner, or those before the job `after`, and whether there are more.

        None where this owner has no job `after`.
        """

        def work(connection: sqlite3.Connection) -> tuple[list[Job], bool] | None:
            created, last_id = float("inf"), ""
            if after is not None:
                last = _one(connection, owner, after)
                if last is None:
                    return None
                created, last_id = last.created, last.job_id
            rows = connection.execute(
                f"SELECT {_FACTS} FROM jobs WHERE owner = ? AND (created, job_id) < (?, ?) "
                "ORDER BY created DESC, job_id DESC LIMIT ?",
                (owner, created, last_id, limit + 1),
            ).fetchall()
            return [_job(row) for row in rows[:limit]], len(rows) > limit

        return await self._database.run(work)

    async def cancel(self, owner: str, job_id: str) -> tuple[Job, str | None] | None:
        """End a job that waits or runs; one that has ended stays as it is. Returns it and the sound to remove."""

        def work(connection: sqlite3.Connection) -> tuple[Job, str | None] | None:
            sound = _sound_of(connection, owner, job_id)
            connection.execute(
                "UPDATE jobs SET status = 'cancelled', ended = ?, claim = NULL, asked = NULL, sound = NULL "
                f"WHERE owner = ? AND job_id = ? AND status NOT IN {_ENDED}",
                (time.time(), owner, job_id),
            )
            job = _one(connection, owner, job_id)
            return None if job is None else (job, sound)

        return await self._database.run(work)

    async def delete(self, owner: str, job_id: str) -> tuple[bool, str | None]:
        """Forget a job, whatever its status. Returns whether there was one, and the sound to remove."""

        def work(connection: sqlite3.Connection) -> tuple[bool, str | None]:
            sound = _sound_of(connection, owner, job_id)
            deleted = connection.execute("DELETE FROM jobs WHERE owner = ? AND job_id = ?", (owner, job_id))
            return deleted.rowcount > 0, sound

        return await self._database.run(work)

    async def counts(self) -> Mapping[JobStatus, int]:
        """Jobs by status, over all owners."""

        def work(connection: sqlite3.Connection) -> Mapping[JobStatus, int]:
            rows = connection.execute("SELECT status, count(*) FROM jobs GROUP BY status").fetchall()
            return {JobStatus(status): num for status, num in rows}

        return await self._database.run(work)

    async def claim(self) -> Claim | None:
        """The next job to work on, None where none waits. Owners take turns: the one who waited longest is next."""

        def work(connection: sqlite3.Connection) -> Claim | None:
            now, token = time.time(), secrets.token_hex(16)
            row = connection.execute(
                "UPDATE jobs SET status = 'running', attempts = attempts + 1, started = ?, claim = ?, "
                "claimed_until = ? WHERE job_id = (SELECT job_id FROM jobs AS next WHERE "
                "(status = 'queued' AND not_before <= ?) "
                "OR (status = 'running' AND claimed_until < ? AND attempts < ?) "
                "ORDER BY (SELECT max(started) FROM jobs AS other WHERE other.owner = next.owner), created LIMIT 1) "
                f"RETURNING {_FACTS}, asked, sound",
                (now, token, now + CLAIM_S, now, now, MAX_ATTEMPTS),
            ).fetchone()
            return None if row is None else Claim(_job(row), token, row["asked"], row["sound"])

        return await self._database.run(work)

    async def renew(self, claim: Claim) -> bool:
        """Keep a claim; False where it is lost: the job was cancelled, deleted, or taken over."""
        return await self._change(claim, "claimed_until = ?", time.time() + CLAIM_S)

    async def succeed(self, claim: Claim, result: bytes) -> bool:
        """End a job with its result, JSON; False where the claim is lost."""
        return await self._end(claim, JobStatus.SUCCEEDED, result, None)

    async def fail(self, claim: Claim, error: ApiError) -> bool:
        """End a job with the reason; False where the claim is lost."""
        return await self._end(claim, JobStatus.FAILED, None, _told(error))

    async def give_back(self, claim: Claim, *, delay_s: float = 0.0, counts: bool = True) -> bool:
        """Queue a job again, not before `delay_s`; `counts`: whether this was an attempt."""
        return await self._change(
            claim,
            "status = 'queued', claim = NULL, not_before = ?, attempts = attempts - ?",
            *(time.time() + delay_s, 0 if counts else 1),
        )

    async def tidy(self) -> list[str]:
        """Forget what ended `keep_jobs_s` ago, and end jobs whose last attempt was lost. Returns the names of all
        sounds that are still needed."""

        def work(connection: sqlite3.Connection) -> list[str]:
            now = time.time()
            connection.execute(
                f"DELETE FROM jobs WHERE status IN {_ENDED} AND ended < ?", (now - self._options.keep_jobs_s,)
            )
            connection.execute(
                "UPDATE jobs SET status = 'failed', ended = ?, error = ?, claim = NULL, asked = NULL, sound = NULL "
                "WHERE status = 'running' AND claimed_until < ? AND attempts >= ?",
                (now, _told(_LOST), now, MAX_ATTEMPTS),
            )
            rows = connection.execute("SELECT sound FROM jobs WHERE sound IS NOT NULL").fetchall()
            return [row["sound"] for row in rows]

        return await self._database.run(work)

    async def _end(self, claim: Claim, status: JobStatus, result: bytes | None, error: str | None) -> bool:
        # What was asked holds words and voices: nobody needs it any more.
        what = "status = ?, result = ?, error = ?, ended = ?, claim = NULL, asked = NULL, sound = NULL"
        return await self._change(claim, what, status.value, result, error, time.time())

    async def _change(self, claim: Claim, what: str, *values: object) -> bool:
        statement = f"UPDATE jobs SET {what} WHERE job_id = ? AND claim = ?"
        arguments = (*values, claim.job.job_id, claim.token)
        return await self._database.run(lambda connection: connection.execute(statement, arguments).rowcount > 0)


def _told(error: ApiError) -> str:
    """The reason as JSON: that of a refusal, without the id of a request."""
    told = error.body("")["error"]
    del told["request_id"]
    return json.dumps(told)


def _one(connection: sqlite3.Connection, owner: str, job_id: str) -> Job | None:
    row = connection.execute(
        f"SELECT {_FACTS} FROM jobs WHERE owner = ? AND job_id = ?",
        (owner, job_id),
    ).fetchone()
    return None if row is None else _job(row)


def _surely(job: Job | None) -> Job:
    assert job is not None, "a row that was just written is there"
    return job


def _sound_of(connection: sqlite3.Connection, owner: str, job_id: str) -> str | None:
    row = connection.execute("SELECT sound FROM jobs WHERE owner = ? AND job_id = ?", (owner, job_id)).fetchone()
    return None if row is None else row["sound"]


def _job(row: sqlite3.Row) -> Job:
    return Job(
        job_id=row["job_id"],
        key_name=row["key_name"],
        status=JobStatus(row["status"]),
        attempts=row["attempts"],
        created=row["created"],
        started=row["started"],
        ended=row["ended"],
        size_bytes=row["size_bytes"],
        error=None if row["error"] is None else json.loads(row["error"]),
    )
