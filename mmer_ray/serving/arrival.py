"""The middleware that bounds bodies as they arrive: bytes, silence, time, and how many at once.

Nothing behind it can read more, whatever it does with an error: once a body is refused, the answer is the refusal.
"""

from __future__ import annotations

import asyncio
import time
from typing import NoReturn

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.api_errors import ApiError, no_room
from mmer_ray.serving.request_head import declared_bytes, has_body, header

JOBS_PATH = "/v1/jobs"
ANALYSES_PATH = "/v1/audio/analyses"


class Arrival:
    """Refuses bodies that are too big (413), too slow (408), compressed (415) or one too many (503)."""

    def __init__(self, app: ASGIApp, options: ServeOptions) -> None:
        self._app = app
        self._options = options
        self._num_arriving = 0

    @property
    def num_arriving(self) -> int:
        """Bodies that are arriving now."""
        return self._num_arriving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not has_body(scope):
            await self._app(scope, receive, send)
            return
        self._check(scope)
        body = _Body(self, self._options, max_bytes_of(scope, self._options), receive, send)
        try:
            await self._app(scope, body.receive, body.send)
        except Exception:
            if body.refusal is None:
                raise
        finally:
            body.leave()
        if body.refusal is not None and not body.is_answered:
            raise body.refusal

    def enter(self) -> None:
        self._num_arriving += 1

    def leave(self) -> None:
        self._num_arriving -= 1

    def _check(self, scope: Scope) -> None:
        """Refuse what the head gives away, before a byte of the body is read."""
        max_bytes = max_bytes_of(scope, self._options)
        declared = declared_bytes(scope)
        if declared is not None and declared > max_bytes:
            raise too_big(max_bytes)
        encoding = header(scope, b"content-encoding")
        if encoding is not None and encoding.strip().lower() != b"identity":
            raise ApiError(415, "unsupported_encoding", "bodies are taken as they are, without Content-Encoding")
        if self._num_arriving >= self._options.max_uploads:
            raise no_room("too_many_uploads", "too many bodies are arriving", self._options.retry_after_s)


def too_big(max_bytes: int) -> ApiError:
    """The refusal of a body beyond the limit."""
    return ApiError(413, "body_too_big", f"the body is larger than {max_bytes} bytes; longer audio is for a job")


def max_bytes_of(scope: Scope, options: ServeOptions) -> int:
    """Most bytes of this request's body: a job may have more."""
    # A server below a prefix has it in front of the path, and routes are found without it.
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    is_analysis = path == ANALYSES_PATH
    is_job = path == JOBS_PATH or (is_analysis and asks_for_job(header(scope, b"prefer")))
    return options.max_job_body_bytes if is_job else options.max_body_bytes


def asks_for_job(prefer: bytes | None) -> bool:
    """Whether a `Prefer` header asks not to wait for the answer.

    >>> asks_for_job(b"wait=10, respond-async")
    True
    """
    wishes = (prefer or b"").lower().replace(b";", b",").split(b",")
    return b"respond-async" in [wish.strip() for wish in wishes]


class _Body:
    """One body on its way in."""

    def __init__(self, arrival: Arrival, options: ServeOptions, max_bytes: int, receive: Receive, send: Send) -> None:
        self.refusal: ApiError | None = None
        self.is_answered = False
        self._arrival, self._options, self._max_bytes = arrival, options, max_bytes
        self._receive, self._send = receive, send
        self._num_bytes = 0
        self._ends = time.monotonic() + options.body_timeout_s
        self._is_arriving = True
        arrival.enter()

    async def receive(self) -> Message:
        """The next part of the body; behind it the client's hang-up, for which nothing limits the wait."""
        if self.refusal is not None:
            raise self.refusal
        if not self._is_arriving:
            return await self._receive()
        message = await self._in_time()
        self._num_bytes += len(message.get("body", b""))
        if self._num_bytes > self._max_bytes:
            self._refuse(too_big(self._max_bytes))
        if message["type"] != "http.request" or not message.get("more_body", False):
            self.leave()
        return message

    async def send(self, message: Message) -> None:
        """Pass the answer on, unless the refusal is to be the answer."""
        if self.refusal is not None and not self.is_answered:
            return
        self.is_answered = True
        await self._send(message)

    def leave(self) -> None:
        """The body has arrived, or nobody waits for it any more."""
        if self._is_arriving:
            self._is_arriving = False
            self._arrival.leave()

    async def _in_time(self) -> Message:
        left_s = min(self._options.body_silence_s, self._ends - time.monotonic())
        try:
            # At least one look: what has arrived meanwhile is not late.
            async with asyncio.timeout(max(left_s, 0.001)):
                return await self._receive()
        except TimeoutError:
            self._refuse(ApiError(408, "body_too_slow", "the body did not arrive in time; send it again"))

    def _refuse(self, refusal: ApiError) -> NoReturn:
        self.refusal = refusal
        self.leave()
        raise refusal
