"""The guards around a route or two, as the endpoint puts them around all of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, WebSocket
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import ASGIApp

from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.admission import Admission
from mmer_ray.serving.api_errors import ApiError, invalid
from mmer_ray.serving.arrival import Arrival
from mmer_ray.serving.bounded_heads import BoundedHttp
from mmer_ray.serving.ended import Ended
from mmer_ray.serving.error_handlers import handle_errors
from mmer_ray.serving.errors_middleware import Errors, RequestIds
from mmer_ray.serving.exchange import answered
from mmer_ray.serving.health import health_router
from mmer_ray.serving.interface import Asked
from mmer_ray.serving.metrics import Metrics, metrics_router
from mmer_ray.serving.request_head import header
from mmer_ray.serving.upload import received_form
from tests.serving.cheap_scorers import CheapScorers
from tests.serving.http_server import serving
from tests.serving.sounds import wav

PATH = "/v1/audio/transcriptions"
KEY = {"Authorization": "Bearer good"}


@dataclass
class Guarded:
    """What the guards need of a service, and the app."""

    options: ServeOptions = field(default_factory=ServeOptions)
    scorers: CheapScorers = field(default_factory=CheapScorers)
    ended: list[Ended] = field(default_factory=list)
    metrics: Metrics = field(default_factory=Metrics)
    socket_asked: threading.Event = field(default_factory=threading.Event)
    socket_answered: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.admission = Admission(self.options)
        self.metrics.watch(self.admission)
        self.arrival = Arrival(self._routes(), self.options)
        self.metrics.show("mmer_arriving", "Bodies that are arriving", lambda: self.arrival.num_arriving)
        self.app: ASGIApp = RequestIds(Errors(_Keyed(self.arrival), [self.ended.append, self.metrics.count]))

    def _routes(self) -> FastAPI:
        app = FastAPI()
        handle_errors(app)

        app.include_router(health_router(self))
        app.include_router(metrics_router(self.metrics))

        @app.post(PATH)
        async def transcribe(request: Request) -> PlainTextResponse:
            form = await received_form(request, self.options)
            files = [file for file in form.files if file.field == "file"]
            if len(files) != 1:
                raise invalid("file", "one file is needed")
            scored = await answered(self, request, Asked(files[0].sound))
            return PlainTextResponse(" ".join(utterance.text for utterance in scored.utterances))

        @app.post("/v1/bug")
        async def bug(request: Request) -> None:
            raise RuntimeError("the words of a caller")

        @app.get("/v1/bug_later")
        async def bug_later() -> StreamingResponse:
            async def parts() -> Any:
                yield "one"
                raise RuntimeError("the words of a caller")

            return StreamingResponse(parts())

        @app.websocket("/v1/late")
        async def late(client: WebSocket) -> None:
            self.socket_asked.set()
            await asyncio.sleep(0.3)
            try:
                await client.accept()
            finally:
                self.socket_answered.set()

        @app.get("/v1/number/{number}")
        async def number(number: int) -> int:
            return number

        return app


class _Keyed:
    """A key for all but the state of health, before the body is read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] not in ("/healthz", "/readyz"):
            if header(scope, b"authorization") != b"Bearer good":
                raise ApiError(401, "invalid_api_key", "no key")
            scope["state"]["key"] = "alice"
        await self._app(scope, receive, send)


OpenGuarded = Callable[..., tuple[Guarded, httpx.Client]]


@pytest.fixture
def opened() -> Iterator[OpenGuarded]:
    """Opens a server with its own settings of `[serve]`; what serves, and a client with a key."""
    with ExitStack() as stack:

        def start(http: Any = BoundedHttp, **options: object) -> tuple[Guarded, httpx.Client]:
            guarded = Guarded(ServeOptions(**options))  # type: ignore[arg-type]
            address = stack.enter_context(serving(guarded.app, http=http))
            client = stack.enter_context(httpx.Client(base_url=address, headers=KEY, timeout=20, trust_env=False))
            return guarded, client

        yield start


def post(client: httpx.Client, sound: bytes = wav(), **more: Any) -> httpx.Response:
    """Ask for a clip's words."""
    return client.post(PATH, files={"file": ("clip.wav", sound)}, **more)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an answer that must have the one shape."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code", "request_id"}
    assert error["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, error["code"]


def until(holds: Callable[[], bool], timeout_s: float = 5.0) -> float:
    """Wait until something holds; the seconds it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < timeout_s, "it never came to hold"
        time.sleep(0.005)
    return time.monotonic() - began
