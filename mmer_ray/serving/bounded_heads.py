"""uvicorn's HTTP protocol with bounds on what it keeps before our app is asked: bytes and time of a request's head.

Without them a client without a key fills the memory with one endless header, or holds connections by sending nothing.
"""

from __future__ import annotations

import asyncio

from starlette.middleware import Middleware
from uvicorn import config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mmer_ray.serving.proxy_headers import ProxyHeaders

MAX_HEAD_BYTES = 64 << 10
"""More than `request_head` lets through, so that what is a little too big is refused in the one shape."""
HEAD_S = 10.0
"""A head that takes longer, or does not come on a new connection, ends the connection."""
TOO_LARGE, TOO_SLOW = "431 Request Header Fields Too Large", "408 Request Timeout"


class BoundedHttp(HttpToolsProtocol):
    """For uvicorn's setting `http`."""

    max_head_bytes = MAX_HEAD_BYTES
    head_s = HEAD_S
    _num_kept = 0
    """Bytes in a row that were neither body nor the end of a head: of a head, a chunk's extensions, or a trailer."""
    _deadline: asyncio.TimerHandle | None = None
    _is_head_open = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._num_kept += len(data)
        super().data_received(data)
        if self._num_kept > self.max_head_bytes and not self.transport.is_closing():
            self._end(TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_head_open = True
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._num_kept, self._is_head_open = 0, False
        self._forget_deadline()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._num_kept = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._num_kept = 0
        super().on_message_complete()

    def _expect_head(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.head_s, self._end, TOO_SLOW)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self, status: str) -> None:
        """End the connection, with an answer where none is on its way."""
        if self._is_head_open and (self.cycle is None or self.cycle.response_complete):
            self.transport.write(f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".encode())
        self.transport.close()


def bound_heads() -> list[Middleware]:
    """Make `BoundedHttp` what uvicorn servers of this process use unless told otherwise; the middlewares around them.

    Ray Serve's proxy calls what `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH` names, and puts its app inside what it is
    given: ours sees a request before anything of Serve's does."""
    config.HTTP_PROTOCOLS["auto"] = f"{BoundedHttp.__module__}:{BoundedHttp.__qualname__}"
    return [Middleware(ProxyHeaders)]
