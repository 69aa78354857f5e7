"""The two outer middlewares: a name for every request, and one shape for whatever goes wrong inside.

A refused client may still be sending its body. It is answered at once; the rest is then read and thrown away for a
while, because closing a connection that has unread bytes makes the client's system discard the answer.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Iterable

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from mmer_ray.serving.api_errors import ApiError
from mmer_ray.serving.bug_place import class_and_place
from mmer_ray.serving.ended import CLIENT_GONE, UNKNOWN_ROUTE, Ended, OnEnd
from mmer_ray.serving.lingering import linger
from mmer_ray.serving.request_head import check_head, given_request_id, has_body

logger = logging.getLogger(__name__)

POLICY_VIOLATION, INTERNAL_ERROR = 1008, 1011
"""Close codes of WebSocket."""
WITH_HEADERS = ("websocket.accept", "websocket.http.response.start", "http.response.start")


class RequestIds:
    """Names each request `scope["state"]["request_id"]`, by the client's `x-request-id` where it is one that
    `request_head.REQUEST_ID` takes, and tells the name in the answer's header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = given_request_id(scope)
        request_id = secrets.token_hex(16) if given is None else given.decode("ascii")
        scope.setdefault("state", {})["request_id"] = request_id

        async def named(message: Message) -> None:
            if message["type"] in WITH_HEADERS:
                _headers_of(message)["x-request-id"] = request_id
            await send(message)

        await self._app(scope, receive, named)


class Errors:
    """Answers `ApiError`s and bugs of everything inside, and tells `on_end` of each request that is over.

    A bug is 500 `internal`; where it happened goes to the log, without the exception's words: they may quote what was
    said in a recording.
    """

    def __init__(self, app: ASGIApp, on_end: Iterable[OnEnd] = ()) -> None:
        self._app = app
        self._on_end = tuple(on_end)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(_Answering(scope, receive, send))
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, answering: _Answering) -> None:
        scope = answering.scope
        try:
            try:
                check_head(scope)
                await self._app(scope, answering.receive, answering.send)
            except ClientDisconnect:
                answering.is_gone = True
            except ApiError as error:
                await answering.refuse(error)
            except Exception as bug:
                if answering.is_gone:
                    return
                # Starlette answers a bug and raises it again: then there is nothing left to send.
                log_bug(bug, scope)
                await answering.refuse(internal())
        finally:
            self._tell(answering.ended())
        await answering.close()

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_accepted = False
        gone: OSError | None = None
        began = time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal is_accepted, gone
            is_accepted = is_accepted or message["type"] == "websocket.accept"
            try:
                await send(message)
            except OSError as error:
                # How a server tells that the client has left (ASGI 2.4), and what it waits for in return.
                gone = error
                raise

        try:
            check_head(scope)
            await self._app(scope, receive, watched)
        except (ClientDisconnect, WebSocketDisconnect):
            if gone is not None:
                raise gone from None
        except ApiError as error:
            if not is_accepted:
                # Of a call that was begun its route tells.
                self._tell(_never_begun(error, scope, time.perf_counter() - began))
            await _refuse_websocket(error, scope, receive, send, is_accepted=is_accepted)
        except Exception as bug:
            if gone is not None:
                raise gone from None
            log_bug(bug, scope)
            await _refuse_websocket(internal(), scope, receive, send, is_accepted=is_accepted)

    def _tell(self, ended: Ended) -> None:
        for told in self._on_end:
            try:
                told(ended)
            except Exception as bug:
                logger.error("request %s could not be counted: %s", ended.request_id, type(bug).__name__)


class _Answering:
    """One HTTP request: what came in, what went out, and whether the client may still be sending."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.is_gone = False
        self._receive, self._send = receive, send
        self._began = time.perf_counter()
        self._is_arriving = has_body(scope)
        self._body_bytes = 0
        self._status: int | None = None
        self._is_closing = self._is_held_open = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._body_bytes += len(message.get("body", b""))
            self._is_arriving = self._is_arriving and bool(message.get("more_body", False))
        else:
            self._is_arriving = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            if self._is_arriving:
                self._is_closing = True
                _headers_of(message)["connection"] = "close"
        elif self._is_closing and not message.get("more_body", False):
            # All of the answer is out; its end, which closes the connection, waits until the client has stopped.
            self._is_held_open = True
            message = {**message, "more_body": True}
        try:
            await self._send(message)
        except OSError:
            # How a server tells that the client has left (ASGI 2.4).
            self.is_gone = True
            raise

    async def refuse(self, error: ApiError) -> None:
        """Answer with an error, unless an answer has begun."""
        if self._status is None:
            await error_response(error, self.scope)(self.scope, self.receive, self.send)

    def ended(self) -> Ended:
        state = self.scope["state"]
        route = getattr(self.scope.get("route"), "path", UNKNOWN_ROUTE)
        return Ended(
            request_id=state.get("request_id", ""),
            key=state.get("key"),
            method=self.scope["method"],
            route=route,
            status=CLIENT_GONE if self.is_gone or self._status is None else self._status,
            seconds=time.perf_counter() - self._began,
            body_bytes=self._body_bytes,
            audio_s=state.get("audio_s"),
            code=state.get("code"),
        )

    async def close(self) -> None:
        """Let a client that still sends read its answer, then end."""
        if self._is_held_open:
            await linger(self.receive)
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _never_begun(error: ApiError, scope: Scope, seconds: float) -> Ended:
    """What is told of a WebSocket that was refused before any route was asked."""
    state = scope["state"]
    return Ended(
        request_id=state.get("request_id", ""),
        key=state.get("key"),
        method="GET",
        route=UNKNOWN_ROUTE,
        status=error.status,
        seconds=seconds,
        body_bytes=0,
        code=error.code,
    )


def internal() -> ApiError:
    """What a client is told of a bug."""
    return ApiError(500, "internal", "the server failed; the operator finds this request's id in the log")


def log_bug(bug: BaseException, scope: Scope) -> None:
    """Tell the log where a bug happened and for which request."""
    request_id = scope.get("state", {}).get("request_id", "")
    logger.error("request %s failed: %s", request_id, class_and_place(bug))


def error_response(error: ApiError, scope: Scope) -> Response:
    """An error as the one JSON document; its code is noted for figures and audit."""
    scope["state"]["code"] = error.code
    return Response(_document(error, scope), error.status, error.headers, "application/json")


def _document(error: ApiError, scope: Scope) -> bytes:
    # ASCII alone: a message may quote characters that UTF-8 cannot hold.
    return json.dumps(error.body(scope["state"].get("request_id", ""))).encode("ascii")


async def _refuse_websocket(error: ApiError, scope: Scope, receive: Receive, send: Send, *, is_accepted: bool) -> None:
    if not is_accepted and "websocket.http.response" in scope.get("extensions", {}):
        await error_response(error, scope)(scope, receive, send)
        return
    code = INTERNAL_ERROR if error.status >= 500 else POLICY_VIOLATION
    if is_accepted:
        await send({"type": "websocket.send", "text": _document(error, scope).decode()})
    await send({"type": "websocket.close", "code": code, "reason": error.code})


def _headers_of(message: Message) -> MutableHeaders:
    """The headers of a message, which may be changed."""
    message["headers"] = list(message.get("headers", ()))
    return MutableHeaders(raw=message["headers"])
