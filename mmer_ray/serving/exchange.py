"""One clip from a request to its scored recording: a place, the models, and an eye on the client.

A client that hangs up, an answer that takes too long and a stop of the server cancel the work, and the place is free
once the work has ended.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Protocol

from starlette.requests import ClientDisconnect, Request

from mmer_ray.errors import RETRYABLE, ErrorCode, UsageError
from mmer_ray.records import Expected, Failure, ScoredRecording
from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.admission import Admission
from mmer_ray.serving.api_errors import ApiError, no_room
from mmer_ray.serving.audio_form import NO_AUDIO, looked_at
from mmer_ray.serving.ending_tasks import end_tasks
from mmer_ray.serving.interface import Asked, Scorers, ScorersUnavailableError, Served

NO_KEY = "-"
"""Whose place it is where no keys are asked for."""
CHECK_S = 5.0
"""Models say at once whether they heed a wish; where none is free for so long, nobody is kept waiting for it."""
TOO_LARGE = frozenset({ErrorCode.TOO_LONG, ErrorCode.FILE_TOO_BIG})


class Models(Protocol):
    """What is needed of a `Service`."""

    @property
    def options(self) -> ServeOptions: ...

    @property
    def scorers(self) -> Scorers: ...

    @property
    def admission(self) -> Admission: ...


async def answered(service: Models, request: Request, asked: Asked) -> ScoredRecording:
    """Score one clip for a client that waits. What comes back is scored, never failed.

    Notes the seconds of audio in `request.state` for figures and audit. Raises `ApiError`: 415 for what is no audio,
    422 or 413 with the code of `ErrorCode` for audio that cannot be scored, 400 for a wish that the models do not
    heed, 429 and 503 where there is no room, no model, no time. Raises `ClientDisconnect` when the client hangs up.
    """
    options = service.options
    seen = await looked_at(asked.sound)
    # Longer audio is refused once it is decoded: what a header claims is not believed.
    seconds = min(seen.seconds, options.max_audio_s)
    async with service.admission.place(key_of(request), seconds):
        scored = await _while_there(service, request, asked)
    if scored.failure is not None:
        raise refusal_of(scored.failure, options.retry_after_s)
    assert scored.audio is not None, "a scored recording has facts"
    request.state.audio_s = scored.audio.duration_s
    return scored


def key_of(request: Request) -> str:
    """The name of the key that a request came with."""
    return getattr(request.state, "key", None) or NO_KEY


def refusal_of(failure: Failure, retry_after_s: int) -> ApiError:
    """How a client is told that its recording failed: 413, 415, 422, or 503 where the cause lies outside the bytes."""
    if failure.code in RETRYABLE:
        return no_room(failure.code.value, "the clip could not be scored now; send it again", retry_after_s)
    status = 413 if failure.code in TOO_LARGE else 415 if failure.code in NO_AUDIO else 422
    return ApiError(status, failure.code.value, failure.message, "file")


async def scored_unless(
    service: Models, asked: Asked, timeout_s: float | None, leaving: asyncio.Future[Any] | None = None
) -> ScoredRecording:
    """Score one clip, which may have failed, within `timeout_s` (None: however long it takes), unless `leaving` ends
    before.

    Raises `ApiError` as `answered`, `ClientDisconnect` once `leaving` has ended. The work has ended in any case.
    """
    scoring = asyncio.ensure_future(service.scorers.score(asked))
    try:
        watched = {scoring} if leaving is None else {scoring, leaving}
        await asyncio.wait(watched, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if scoring.done():
            return _result(scoring, service.options.retry_after_s)
        if leaving is not None and leaving.done():
            raise ClientDisconnect
        raise no_room("timeout", f"no answer within {timeout_s:g} s", service.options.retry_after_s)
    finally:
        await end_tasks(scoring)


async def hang_up(request: Request) -> None:
    """Return when the client has hung up; the body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def check_heeded(service: Models, expected: Expected) -> None:
    """Ask the models, without a sound, whether they heed what a caller expects. Raises `ApiError` 400 with the field.

    Where none answers within `CHECK_S` it is not raised: then they say so of the first sound.
    """
    if expected == Expected():
        return
    try:
        # As a job's, since it is no sign that clips are answered.
        await scored_unless(service, Asked(b"", expected, is_job=True), CHECK_S)
    except ApiError as refusal:
        if refusal.status == HTTPStatus.BAD_REQUEST:
            raise


async def served_by(service: Models) -> Served:
    """What answers. Raises `ApiError` 503 until something does."""
    try:
        return await service.scorers.served()
    except ScorersUnavailableError as error:
        raise no_room("models_unavailable", "no model can answer now", service.options.retry_after_s) from error


def unheeded(error: UsageError) -> ApiError:
    """How a client is told of a wish that the models do not heed: the message begins with the field's name."""
    message = str(error)
    return ApiError(400, "invalid_value", message, message.partition(":")[0].split(" ", 1)[0])


async def _while_there(service: Models, request: Request, asked: Asked) -> ScoredRecording:
    leaving = asyncio.ensure_future(hang_up(request))
    try:
        return await scored_unless(service, asked, service.options.request_timeout_s, leaving)
    finally:
        await end_tasks(leaving)


def _result(scoring: asyncio.Future[ScoredRecording], retry_after_s: int) -> ScoredRecording:
    try:
        return scoring.result()
    except ScorersUnavailableError as error:
        raise no_room("models_unavailable", "no model can answer now; send it again", retry_after_s) from error
    except asyncio.CancelledError as error:
        # Not by us: the replica was stopped.
        raise no_room("models_unavailable", "the models were stopped; send it again", retry_after_s) from error
    except UsageError as error:
        raise unheeded(error) from error
