"""Who may ask: a bearer key with every request but those for the page, its documents and the state of health."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from mmer_ray.errors import PreflightError
from mmer_ray.serving.api_errors import ApiError, no_room
from mmer_ray.serving.key_file import KeyFile
from mmer_ray.serving.request_head import is_own_page

OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/docs", "/openapi.json"})
"""Asked without a key, beside all below `OPEN_FOLDER`."""
OPEN_FOLDER = "/page/"
SUBPROTOCOL = "mmer.bearer."
"""How a browser, which cannot set headers of a WebSocket, sends a key: as the rest of a subprotocol's name."""
NOBODY = "anonymous"
"""Name and id of whoever asks where no keys are wanted."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    name: str
    """The key's name: for people, counts and the audit log."""
    key_id: str
    """The key's own id: what is kept for a caller belongs to it."""


class Access:
    """ASGI middleware: 401 before a byte of the body is read. `keys` None: everybody on this machine may ask.

    Without keys the header `Host` must be a name of this machine: a page of another host whose name was made to point
    here (DNS rebinding) would else be taken for one of ours by the browser, and could read what jobs found. `Origin`,
    where a browser sends it, must name our page: a browser lets every page send forms here, and so fill the disk.

    Where keys cannot be read it is 503, to be tried again after `retry_after_s`.

    What comes through has `key` and `key_id` in its state, both None on open paths, and `check_key`. Raises `ApiError`,
    which `errors_middleware.Errors` tells, also to a WebSocket, which is not accepted.
    """

    def __init__(self, app: ASGIApp, keys: KeyFile | None, retry_after_s: int) -> None:
        self._app = app
        self._keys = keys
        self._retry_after_s = retry_after_s
        # A thread of its own: a disk that hangs holds up those who need a key, and neither the loop nor other threads.
        self._reading = ThreadPoolExecutor(1, "keys")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        caller = None if is_open(scope) else await self._caller(scope)
        state["key"] = None if caller is None else caller.name
        state["key_id"] = None if caller is None else caller.key_id
        # For what lasts, as a live call: it raises as this does, once the key is revoked.
        state["check_key"] = partial(self._caller, scope)
        await self._app(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller:
        if self._keys is None:
            if not is_loopback(_host(scope)):
                raise ApiError(403, "foreign_host", "without keys only http://localhost and 127.0.0.1 are answered")
            if not is_own_page(scope):
                raise ApiError(403, "foreign_origin", "without keys no page of another address is answered")
            return Caller(NOBODY, NOBODY)
        token = _token(scope)
        if token is None:
            raise _unauthorized("missing_api_key", "no key was sent; send one as `Authorization: Bearer KEY`")
        try:
            key = await asyncio.get_running_loop().run_in_executor(self._reading, self._keys.find, token)
        except (PreflightError, OSError):
            # Nobody is let in while it cannot be told who may.
            _log.exception("the key file cannot be read")
            message = "keys cannot be checked at the moment; the log says why"
            raise no_room("keys_unreadable", message, self._retry_after_s) from None
        if key is None:
            raise _unauthorized("invalid_api_key", "the key is none of this endpoint's, or was revoked")
        return Caller(key.name, key.key_id)


def caller_of(scope: Mapping[str, Any]) -> Caller:
    """Who asks, behind `Access` and not on an open path."""
    state = scope["state"]
    assert state["key"] is not None, "an open path has no caller"
    return Caller(state["key"], state["key_id"])


def is_open(scope: Mapping[str, Any]) -> bool:
    """Whether no key is needed.

    >>> is_open({"type": "http", "path": "/page/style.css"}), is_open({"type": "http", "path": "/page"})
    (True, False)
    """
    # A server below a prefix has it in front of the path, and routes are found without it.
    path = str(scope["path"]).removeprefix(scope.get("root_path", ""))
    return scope["type"] == "http" and (path in OPEN_PATHS or path.startswith(OPEN_FOLDER))


def is_loopback(host: str) -> bool:
    """Whether the host of a URL, with a port or without, is this machine.

    >>> [is_loopback(one) for one in ("localhost:8000", "127.0.0.1", "[::1]:8000", "rebound.example:8000", "")]
    [True, True, True, False, False]
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _host(scope: Scope) -> str:
    found = [value for name, value in scope["headers"] if name.lower() == b"host"]
    return str(found[0].decode("latin-1")) if len(found) == 1 else ""


def _token(scope: Scope) -> str | None:
    """The key as it was sent; None where none was, or two."""
    headers = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
    if len(headers) == 1:
        scheme, _, token = headers[0].decode("latin-1").strip().partition(" ")
        return token.strip() or None if scheme.lower() == "bearer" else None
    offered = [name for name in scope.get("subprotocols", ()) if name.startswith(SUBPROTOCOL)]
    if not headers and len(offered) == 1:
        return str(offered[0].removeprefix(SUBPROTOCOL)) or None
    return None


def _unauthorized(code: str, message: str) -> ApiError:
    return ApiError(401, code, message, headers={"WWW-Authenticate": "Bearer"})
