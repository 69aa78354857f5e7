"""The routes that send a recording's sound, in ranges, and its peaks: nothing is held whole in memory.

    GET, HEAD /sound/{token}          the file as it is stored
    GET, HEAD /sound/{token}?as=wav   decoded, for browsers that cannot play the file
    GET       /peaks/{token}          what its waveform is drawn from (`peaks.PeaksOf.packed`)

Who may hear what is decided by `find`, for each request anew.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from dashboard.byte_range import ByteRange, NotSatisfiableError, asked_range
from dashboard.converted_sound import HEADER_BYTES, Conversions, ConvertedSound
from dashboard.peaks import Peaks
from dashboard.stored_sound import ReadsSound, SoundOf, open_sound
from mmer_ray.errors import RETRYABLE, AudioError, ErrorCode
from mmer_ray.sources.uris import is_remote

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

SOUND_PATH = "/sound"
LOCAL_BYTES, REMOTE_BYTES = 1 << 18, 1 << 20
"""Read at a time; of an object each time is a request."""
LONGEST_START_S = 60.0
"""So long may a conversion take to begin: its decoder may be busy with others."""
HEADERS = {
    "accept-ranges": "bytes",
    # A call must not stay in the browser's cache.
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-disposition": "inline",
    # A file that is opened by itself must do nothing, whatever is in it.
    "content-security-policy": "default-src 'none'; media-src 'self'; sandbox",
    "cross-origin-resource-policy": "same-origin",
}
_STATUSES = {
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.PERMISSION: 404,
    ErrorCode.OUTSIDE_ROOT: 404,
    ErrorCode.CHANGED_DURING_READ: 409,
}
"""Other codes: 503 for what may pass, 422 for what lies in the file."""

Find = Callable[[Request], SoundOf]
"""The recording that a request may have. Raises starlette's `HTTPException`; called in a thread."""


@dataclass(frozen=True, slots=True)
class SoundRoutes:
    """What the routes need."""

    find: Find
    conversions: Conversions
    peaks: Peaks

    def routes(self) -> Sequence[Route]:
        """To be mounted beside the pages."""
        return [
            Route(f"{SOUND_PATH}/{{token}}", self._send_sound, methods=["GET", "HEAD"]),
            Route("/peaks/{token}", self._send_peaks, methods=["GET"]),
        ]

    async def _send_sound(self, request: Request) -> Response:
        sound = await run_in_threadpool(self.find, request)
        is_wav = request.query_params.get("as") == "wav"
        if sound.media_type is None and not is_wav:
            return _told("browsers cannot play this file as it is; ask for ?as=wav", 415)
        try:
            source = await (self._convert(sound) if is_wav else run_in_threadpool(open_sound, sound))
        except AudioError as exc:
            return _failed(exc)
        media_type = "audio/wav" if is_wav else sound.media_type
        return _answer(request, source, media_type or "", _etag(sound, is_wav), is_remote(sound.uri) and not is_wav)

    async def _convert(self, sound: SoundOf) -> ReadsSound:
        converted = await run_in_threadpool(self.conversions.open, sound)
        try:
            async with asyncio.timeout(LONGEST_START_S):
                # A file that cannot be decoded at all is told of by a status, not by an answer that breaks off.
                await converted.wait_for(min(converted.size_bytes, HEADER_BYTES + 1))
        except TimeoutError as exc:
            converted.close()
            raise AudioError(ErrorCode.IO_ERROR, "other sound is being converted; try again in a minute") from exc
        except BaseException:
            converted.close()
            raise
        return converted

    async def _send_peaks(self, request: Request) -> Response:
        sound = await run_in_threadpool(self.find, request)
        try:
            making = await run_in_threadpool(self.peaks.ask, sound)
            # Others may wait for the same one.
            packed = await asyncio.shield(asyncio.wrap_future(making))
        except AudioError as exc:
            return _failed(exc)
        return Response(packed, media_type="application/octet-stream", headers={"cache-control": "no-store"})


def _answer(request: Request, source: ReadsSound, media_type: str, etag: str, from_store: bool) -> Response:
    """The whole or a range of it; closes the source after it is sent, or if there is nothing to send."""
    headers = HEADERS | {"etag": etag}
    try:
        wanted = asked_range(_range_header(request, etag), source.size_bytes)
    except NotSatisfiableError:
        source.close()
        return Response(status_code=416, headers=headers | {"content-range": f"bytes */{source.size_bytes}"})
    part = wanted or ByteRange(0, source.size_bytes - 1)
    headers["content-length"] = str(part.num_bytes)
    if wanted is not None:
        headers["content-range"] = f"bytes {part.first}-{part.last}/{source.size_bytes}"
    status = 200 if wanted is None else 206
    if request.method == "HEAD":
        source.close()
        return Response(status_code=status, headers=headers, media_type=media_type)
    return _SoundResponse(source, part, status, headers, media_type, REMOTE_BYTES if from_store else LOCAL_BYTES)


def _range_header(request: Request, etag: str) -> str | None:
    """The range that counts: none where the file is not the one that the player has some of."""
    having = request.headers.get("if-range")
    return None if having is not None and having != etag else request.headers.get("range")


def _etag(sound: SoundOf, is_wav: bool) -> str:
    text = f"{sound.recording_id} {sound.uri} {sound.size_bytes} {is_wav}"
    return f'"{hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:24]}"'


class _SoundResponse(StreamingResponse):
    """Sends some of a source, and closes it whatever happens."""

    def __init__(
        self, source: ReadsSound, part: ByteRange, status: int, headers: dict[str, str], media_type: str, step: int
    ) -> None:
        super().__init__(_parts(source, part, step), status, headers, media_type)
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._source.close()


async def _parts(source: ReadsSound, part: ByteRange, step: int) -> AsyncIterator[bytes]:
    at = part.first
    while at <= part.last:
        num_bytes = min(step, part.last + 1 - at)
        if isinstance(source, ConvertedSound):
            await source.wait_for(at + num_bytes)
        data = await run_in_threadpool(source.read_at, at, num_bytes)
        if not data:
            raise AudioError(ErrorCode.CHANGED_DURING_READ, "the file became shorter while it was sent")
        yield data
        at += len(data)


def _failed(exc: AudioError) -> Response:
    return _told(exc.message, _STATUSES.get(exc.code, 503 if exc.code in RETRYABLE else 422))


def _told(text: str, status: int) -> Response:
    return PlainTextResponse(f"{text}\n", status, headers={"cache-control": "no-store"})
