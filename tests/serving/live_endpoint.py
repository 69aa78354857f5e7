"""A server of live calls alone, over cheap scorers and the real network that finds the end of speech."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from mmer_ray.profiles import Profile, load_profile
from mmer_ray.records import ScoredRecording
from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.admission import Admission
from mmer_ray.serving.api_errors import no_room
from mmer_ray.serving.ended import Ended
from mmer_ray.serving.interface import Served
from mmer_ray.serving.live_route import live_router
from tests.serving.call_sounds import demo_call
from tests.serving.cheap_scorers import CheapScorers
from tests.serving.http_server import serving
from tests.serving.live_client import call


class Places(Admission):
    """Admission that notes what it is asked for, and refuses as often as it is told to."""

    def __init__(self, options: ServeOptions | None = None) -> None:
        super().__init__(options or ServeOptions())
        self.num_refused = 0
        self.most_held = 0
        self.seconds: list[float] = []

    @asynccontextmanager
    async def place_in_call(self, key: str, seconds: float, *, is_all: bool = False) -> Any:
        assert key == "somebody"
        if self.num_refused:
            self.num_refused -= 1
            raise no_room("busy", "no room", 1)
        self.seconds.append(seconds)
        async with super().place_in_call(key, seconds, is_all=is_all):
            self.most_held = max(self.most_held, self.in_flight)
            yield


@dataclass
class Endpoint:
    """A server of live calls, and what stands behind it."""

    profile: Profile
    scorers: CheapScorers = field(default_factory=CheapScorers)
    admission: Places = field(default_factory=Places)
    ended: list[Ended] = field(default_factory=list)
    address: str = ""

    @property
    def options(self) -> ServeOptions:
        return self.profile.serve


class Named:
    """Middleware: every caller has a name, as behind `Access`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {}).update({"key": "somebody", "request_id": "req-1"})
        await self._app(scope, receive, send)


def document(scored: ScoredRecording, served: Served) -> dict[str, Any]:
    return {"profile": served.profile, "utterances": [one.text for one in scored.utterances]}


@contextmanager
def endpoint(state: Path, scorers: CheapScorers | None = None, **options: Any) -> Iterator[Endpoint]:
    profile = load_profile("synthetic")
    serve = profile.serve.model_copy(update={"state": str(state), "retry_after_s": 1, **options})
    one = Endpoint(profile.model_copy(update={"serve": serve}), scorers or CheapScorers(), Places(serve))
    app = FastAPI()
    app.include_router(live_router(one, document, [one.ended.append]))
    with serving(Named(app)) as address:
        one.address = address
        yield one


def hold(live: Endpoint, samples: np.ndarray | None = None, start: Any = None, **how: Any) -> Any:
    return asyncio.run(call(live.address, demo_call() if samples is None else samples, start, **how))


async def until(holds: Any) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
