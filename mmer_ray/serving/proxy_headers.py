"""What strangers may not tell Ray Serve's proxy, and what it may not tell them.

It heeds some headers of every request, with a key or without.

They set how long it waits, whether it watches the client, and which replica is asked. It decodes them as UTF-8 after it
has made a queue for the body and before it makes sure to remove that: a byte that is none leaves the queue, with what
has come of the body, in memory for ever (`HTTPProxy.send_request_to_replica` of Ray 2.60).

While the gateway starts or stops the proxy has no route to it, and answers a 404 of its own: whoever asks about a job
would take that for a job that is not there.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mmer_ray.serving.api_errors import no_room
from mmer_ray.serving.request_head import REQUEST_ID_HEADER, given_request_id

NOT_PASSED = frozenset(
    {
        b"x-request-timeout-seconds",
        b"x-request-disconnect-disabled",
        b"serve-multiplexed-model-id",
        b"x-session-id",
    }
)
"""In lower case and with `-`: Serve takes some with `_` as well."""


RETRY_AFTER_S = 2
"""A gateway that starts or stops is there, or gone, about then."""


class ProxyHeaders:
    """ASGI middleware for outside Serve's app: takes away `NOT_PASSED`, and a request id that the gateway would not
    take. Serve makes one where none is left, so that its answer's header and the gateway name the same."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            is_id_kept = given_request_id(scope) is not None
            headers = [
                (name, value)
                for name, value in scope["headers"]
                if name.replace(b"_", b"-") not in NOT_PASSED and (is_id_kept or name != REQUEST_ID_HEADER)
            ]
            scope = {**scope, "headers": headers}
        told = _Told(scope, receive, send).send if scope["type"] == "http" else send
        await self._app(scope, receive, told)


class _Told:
    """The answer to one request. A 404 in plain text is the proxy's, as the gateway's are JSON: it becomes 503."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._is_replaced = False

    async def send(self, message: Message) -> None:
        if self._is_replaced:
            return
        if message["type"] == "http.response.start" and message["status"] == 404:
            headers = Headers(raw=list(message.get("headers", ())))
            if headers.get("content-type", "").startswith("text/plain"):
                self._is_replaced = True
                await self._refuse(headers.get(REQUEST_ID_HEADER.decode(), ""))
                return
        await self._send(message)

    async def _refuse(self, request_id: str) -> None:
        error = no_room("unavailable", "the endpoint starts or stops; send it again", RETRY_AFTER_S)
        named = {**error.headers, REQUEST_ID_HEADER.decode(): request_id} if request_id else error.headers
        answer = JSONResponse(error.body(request_id), error.status, named)
        await answer(self._scope, self._receive, self._send)
