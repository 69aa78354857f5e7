"""What every request passes first: it must come from where it may, and name at most one person.

Whether that person may look, pages and routes ask themselves: who may not is told so by the page.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from dashboard.access import Access, Mode, Refused, Viewer
from dashboard.audit import Audit, Event

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

SAFE_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
}
"""Sent with every answer: no guessing of types, no address of ours in the logs of others, no page around ours."""


class Guard:
    """ASGI middleware that refuses requests (403; a web socket is closed) and logs that it did."""

    def __init__(self, app: ASGIApp, access: Access, audit: Audit) -> None:
        self._app, self._access, self._audit = app, access, audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers, client = Headers(scope=scope), scope.get("client")
        try:
            self._access.check_origin(client[0] if client else None, headers.get("host"))
            if scope["type"] == "websocket":
                self._access.check_page(headers.get("origin"), headers.get("host"))
            if self._access.mode is Mode.PROXY:
                self._access.name_in(headers.getlist(self._access.header))
        except Refused as exc:
            self._audit.note(Event.REFUSED, None, detail=f"{scope['path']}: {exc}")
            await _refuse(scope, receive, send, str(exc))
            return
        await self._app(scope, receive, _with_headers(send))


def viewer_of_request(access: Access, request: Request, named: str) -> Viewer:
    """Who asks for sound or an export with a token that names `named`. Raises `Refused` for anybody else.

    With OIDC the token alone says it: Streamlit's cookie is not read by our routes.
    """
    if access.mode is Mode.PROXY and access.name_in(request.headers.getlist(access.header)) != named:
        raise Refused("this address was made for somebody else; open the page yourself")
    return access.viewer(named)


def viewer_who_asks(access: Access, request: Request) -> Viewer | None:
    """Who asks for a page, as far as the request itself says it: None with OIDC, for Streamlit's cookie is not read by
    our routes. Raises `Refused` for a stranger."""
    if access.mode is Mode.OIDC:
        return None
    is_named = access.mode is Mode.PROXY
    return access.viewer(access.name_in(request.headers.getlist(access.header)) if is_named else None)


def _with_headers(send: Send) -> Send:
    async def answer(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            given = list(message.get("headers", ()))
            names = {name.lower() for name, _ in given}
            message["headers"] = [*given, *((name, value) for name, value in SAFE_HEADERS.items() if name not in names)]
        await send(message)

    return answer


async def _refuse(scope: Scope, receive: Receive, send: Send, why: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": why})
        return
    await PlainTextResponse(f"{why}\n", 403)(scope, receive, send)
