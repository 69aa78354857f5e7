"""Works on jobs in the gateway: some at a time, each under a claim that is renewed while it is scored."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

from mmer_ray.errors import UsageError
from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.api_errors import ApiError
from mmer_ray.serving.ended import Ended, OnEnd
from mmer_ray.serving.ending_tasks import end_tasks
from mmer_ray.serving.errors_middleware import internal, log_bug
from mmer_ray.serving.exchange import unheeded
from mmer_ray.serving.interface import Asked, Scorers, ScorersUnavailableError
from mmer_ray.serving.job_table import CLAIM_S, Claim, JobTable
from mmer_ray.serving.stored_asked import unpacked

POLL_S = 2.0
"""Jobs that another gateway queued, or left behind, are seen after this time."""
RENEW_S = 1.0
"""A job that is cancelled ends about this much later."""
RETRY_S = 5.0
"""Pause before another attempt, times the number of those that there were."""
READY_S = 10.0
JOB_ROUTE, JOB_METHOD = "job", "JOB"
"""What stands for a request's in figures and the audit log."""

_log = logging.getLogger(__name__)


class _Analysis(NamedTuple):
    """What came out of a job."""

    text: bytes
    """The document as JSON."""
    audio_s: float


class JobRunner:
    """Takes jobs from the table and scores them, `max_running_jobs` at a time."""

    def __init__(
        self,
        table: JobTable,
        folder: Path,
        options: ServeOptions,
        scorers: Scorers,
        analyse: Callable[[Asked], Awaitable[dict[str, Any]]],
        on_end: tuple[OnEnd, ...] = (),
    ) -> None:
        self._table, self._folder, self._options = table, folder, options
        self._scorers, self._analyse, self._on_end = scorers, analyse, on_end
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There may be a job."""
        self._woken.set()

    async def run(self) -> None:
        """Work until cancelled. What runs then is queued again."""
        working: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._woken.clear()
                while len(working) < self._options.max_running_jobs and (claim := await self._next()) is not None:
                    working.add(asyncio.create_task(self._work(claim), name=claim.job.job_id))
                working = await self._some_ended(working)
        finally:
            await end_tasks(*working)

    async def _next(self) -> Claim | None:
        """A job to work on: none is taken while no model could answer, as that would use up its attempts."""
        try:
            async with asyncio.timeout(READY_S):
                await self._scorers.served()
            return await self._table.claim()
        except (ScorersUnavailableError, TimeoutError):
            return None
        except Exception as bug:
            # The next look may go well; a runner that ended would leave all jobs waiting.
            _log_bug("for the next job", bug)
            return None

    async def _some_ended(self, working: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
        """Wait until a job has ended or another may be there; returns those that still run."""
        waking = asyncio.ensure_future(self._woken.wait())
        try:
            await asyncio.wait({waking, *working}, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waking.cancel()
        for task in working:
            if task.done() and not task.cancelled() and (bug := task.exception()) is not None:
                _log_bug(task.get_name(), bug)
        return {task for task in working if not task.done()}

    async def _work(self, claim: Claim) -> None:
        scoring = asyncio.ensure_future(self._analysis(claim))
        try:
            is_ours = await self._held(claim, scoring)
        except asyncio.CancelledError:
            await end_tasks(scoring)
            # Without it the claim runs out, and it was an attempt.
            with contextlib.suppress(ApiError):
                await self._table.give_back(claim, counts=False)
            raise
        if not is_ours:
            await end_tasks(scoring)
            return
        await self._settle(claim, scoring)

    async def _analysis(self, claim: Claim) -> _Analysis:
        asked = await asyncio.to_thread(unpacked, claim.asked, self._folder / claim.sound)
        document = await self._analyse(asked)
        # Hours of speech make megabytes: not for the loop.
        text = await asyncio.to_thread(lambda: json.dumps(document, allow_nan=False).encode())
        return _Analysis(text, document["recording"]["duration_s"])

    async def _held(self, claim: Claim, scoring: asyncio.Future[_Analysis]) -> bool:
        """Renew the claim until the work is done; False where it is lost."""
        until = time.monotonic() + CLAIM_S
        while True:
            await asyncio.wait({scoring}, timeout=RENEW_S)
            if scoring.done():
                return True
            try:
                if not await self._table.renew(claim):
                    return False
                until = time.monotonic() + CLAIM_S
            except ApiError:
                # The disk may be back before the claim ends.
                if time.monotonic() > until:
                    return False

    async def _settle(self, claim: Claim, scoring: asyncio.Future[_Analysis]) -> None:
        """Write what came out."""
        error, may_pass = _error_of(claim.job.job_id, scoring)
        if error is None:
            is_written = await _insist(lambda: self._table.succeed(claim, scoring.result().text))
        elif may_pass and not claim.is_last:
            await _insist(lambda: self._table.give_back(claim, delay_s=RETRY_S * claim.job.attempts))
            return
        else:
            is_written = await _insist(lambda: self._table.fail(claim, error))
        if is_written:
            await asyncio.to_thread((self._folder / claim.sound).unlink, missing_ok=True)
            self._tell(claim, error, None if error is not None else scoring.result().audio_s)

    def _tell(self, claim: Claim, error: ApiError | None, audio_s: float | None) -> None:
        ended = Ended(
            request_id=claim.job.job_id,
            key=claim.job.key_name,
            method=JOB_METHOD,
            route=JOB_ROUTE,
            status=200 if error is None else error.status,
            seconds=time.time() - (claim.job.started or claim.job.created),
            body_bytes=claim.job.size_bytes,
            audio_s=audio_s,
            code=None if error is None else error.code,
        )
        for told in self._on_end:
            told(ended)


def _error_of(name: str, scoring: asyncio.Future[_Analysis]) -> tuple[ApiError | None, bool]:
    """Why a job failed, None where it did not, and whether another attempt may go better."""
    try:
        scoring.result()
    except ApiError as error:
        return error, error.status >= 500
    except (ScorersUnavailableError, asyncio.CancelledError):
        # Cancelled by nobody here: the replica was stopped.
        return ApiError(503, "models_unavailable", "the models were gone while this recording was scored"), True
    except UsageError as exc:
        return unheeded(exc), False
    except Exception as bug:
        _log_bug(name, bug)
        return internal(), False
    return None, False


async def _insist(write: Callable[[], Awaitable[bool]]) -> bool:
    """Write though the disk is away for a moment; after that the claim ends, and another attempt is made."""
    until = time.monotonic() + CLAIM_S
    while True:
        try:
            return await write()
        except ApiError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(RENEW_S)


def _log_bug(name: str, bug: BaseException) -> None:
    log_bug(bug, {"state": {"request_id": name}})
