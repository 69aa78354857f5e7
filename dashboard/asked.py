"""The address that somebody asked for, kept while an identity provider asks who they are.

After a sign-in Streamlit opens the first page, whatever address was asked for. So the address of each page that is sent
is kept in a cookie, which the browser sends back at one place alone: where the provider returns people to. From there
they go on to it; who signs out leaves none for the next one. What the cookie says is not trusted: it leads to a page of
this dashboard, or is not heeded.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response

from dashboard.front import PARTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "mmer_asked"
KEPT_S = 3_600
"""So long may a sign-in take; the words of a search may stand in the address."""
MAX_CHARS = 3_000
"""Of the cookie's value: browsers keep 4,096 bytes with its name and attributes (RFC 6265, 6.1). A longer address is
not kept."""
FIRST = "overview"
SIGN_OUT = "/auth/logout"
"""Of Streamlit."""
_PLAIN = re.compile(r"[!-~]*")


class Asked:
    """ASGI middleware that keeps the address of each page, and goes on to it after a sign-in."""

    def __init__(self, app: ASGIApp, redirect_uri: str) -> None:
        """`redirect_uri` is where the provider returns people to, as their browsers see it."""
        parts = urlsplit(redirect_uri)
        self._app = app
        self._attributes: Mapping[str, Any] = {
            "path": parts.path, "secure": parts.scheme == "https", "httponly": True, "samesite": "lax",
        }  # fmt: skip
        self._back = f"/{parts.path.rpartition('/')[2]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] == "GET":
            if scope["path"] == self._back:
                send = _going_on(send, address_of(Request(scope).cookies.get(COOKIE, "")), self._cookie(""))
            elif (page := scope["path"].removeprefix("/") or FIRST) in PARTS:
                send = _keeping(send, self._cookie(kept_of(page, scope["query_string"].decode("latin-1"))))
            elif scope["path"] == SIGN_OUT:
                send = _keeping(send, self._cookie(""))
        await self._app(scope, receive, send)

    def _cookie(self, value: str) -> str:
        """The header that sets it; empty: that takes it away."""
        answer = Response()
        answer.set_cookie(COOKIE, value, max_age=KEPT_S if value else 0, **self._attributes)
        return answer.headers["set-cookie"]


def kept_of(page: str, query: str) -> str:
    """What the cookie says of a page and what stands after the question mark; empty where it is too long."""
    value = quote(f"{page}?{query}", safe="")
    return value if len(value) <= MAX_CHARS else ""


def address_of(value: str) -> str | None:
    """The address that a cookie leads to, relative to where the provider returns people to: with the name of a page of
    ours right after `./` it cannot lead anywhere else. None for all that is no such address."""
    page, _, query = unquote(value).partition("?")
    if page not in PARTS or not _PLAIN.fullmatch(query):
        return None
    name = "" if page == FIRST else page
    return f"./{name}?{query}" if query else f"./{name}"


def _keeping(send: Send, cookie: str) -> Send:
    async def answer(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] < 400:
            MutableHeaders(scope=message).append("set-cookie", cookie)
        await send(message)

    return answer


def _going_on(send: Send, address: str | None, gone: str) -> Send:
    """The same answer, which leads to the address and takes the cookie away; also where nobody was signed in, for they
    may try again there."""

    async def answer(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start" and address is not None:
            headers = MutableHeaders(scope=message)
            if "location" in headers:
                headers["location"] = address
                headers.append("set-cookie", gone)
        await send(message)

    return answer
