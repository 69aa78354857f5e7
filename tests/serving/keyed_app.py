"""Some routes behind the middlewares that the endpoint has, keys among them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.access import Access
from mmer_ray.serving.arrival import Arrival
from mmer_ray.serving.error_handlers import handle_errors
from mmer_ray.serving.errors_middleware import Errors, RequestIds
from mmer_ray.serving.key_file import KeyFile


def keyed(app: FastAPI, keys: KeyFile | None, options: ServeOptions) -> ASGIApp:
    """The app as clients meet it."""
    handle_errors(app)
    return RequestIds(Errors(Access(Arrival(app, options), keys, options.retry_after_s)))


def with_lifespan(around: Callable[[], Any]) -> FastAPI:
    """An app that runs inside an async context manager."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> Any:
        async with around():
            yield

    return FastAPI(lifespan=lifespan)


def bearer(key: str) -> dict[str, str]:
    """The header that a key is sent in."""
    return {"Authorization": f"Bearer {key}"}
