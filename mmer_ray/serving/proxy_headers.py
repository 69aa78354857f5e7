"""What strangers may not tell Ray Serve's proxy, which heeds some headers of every request, with a key or without.

They set how long it waits, whether it watches the client, and which replica is asked. It decodes them as UTF-8 after it
has made a queue for the body and before it makes sure to remove that: a byte that is none leaves the queue, with what
has come of the body, in memory for ever (`HTTPProxy.send_request_to_replica` of Ray 2.60).
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

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
        await self._app(scope, receive, send)
