"""FastAPI's own refusals, in the one JSON shape."""

from __future__ import annotations

import http
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match

from mmer_ray.serving.api_errors import ApiError
from mmer_ray.serving.ended import CLIENT_GONE
from mmer_ray.serving.errors_middleware import error_response, internal

MAX_QUOTED_CHARS = 64
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def handle_errors(app: FastAPI) -> None:
    """Make an app answer everything that goes wrong in the one shape. `Errors` must stand outside of it.

    Paths with a slash too many are not redirected: the redirect would repeat the host that the client named.
    """
    app.router.redirect_slashes = False
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(ClientDisconnect, _client_gone)
    app.add_exception_handler(Exception, _bug)


def quoted(text: str) -> str:
    """What a client sent, fit for a message: cut short, without control characters."""
    shown = "".join(char if char.isprintable() else "?" for char in text[:MAX_QUOTED_CHARS])
    return shown if len(text) <= MAX_QUOTED_CHARS else f"{shown}..."


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error_response(error, request.scope)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first: dict[str, Any] = error.errors()[0]
    # The location begins with the part of the request: body, query, path or header.
    param = quoted(".".join(str(part) for part in first["loc"][1:])) or None
    message = f"{param}: {first['msg']}" if param else str(first["msg"])
    return error_response(ApiError(400, "invalid_value", message, param), request.scope)


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = http.HTTPStatus(error.status_code).phrase
    code = phrase.lower().replace(" ", "_").replace("-", "_")
    message = {
        404: "there is nothing at this address; GET /openapi.json lists what there is",
        405: "this address does not take this method",
    }.get(error.status_code, phrase)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods_of(request))
    return error_response(ApiError(error.status_code, code, message, headers=headers), request.scope)


def _methods_of(request: Request) -> list[str]:
    """The methods that an address takes. Starlette's own answer has those of one route of several alone."""
    routes = request.app.router.routes
    return [
        method
        for method in METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]


async def _client_gone(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)


async def _bug(request: Request, error: Exception) -> Response:
    return error_response(internal(), request.scope)
