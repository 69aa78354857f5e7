"""The endpoint's ASGI app: the routes inside, around them the middlewares that refuse early."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp

from mmer_ray.serving.access import Access
from mmer_ray.serving.analyses_route import analyses_router
from mmer_ray.serving.analysis import document
from mmer_ray.serving.analysis_form import asked_of
from mmer_ray.serving.arrival import Arrival
from mmer_ray.serving.descriptions import describe
from mmer_ray.serving.error_handlers import handle_errors
from mmer_ray.serving.errors_middleware import Errors, RequestIds
from mmer_ray.serving.health import health_router
from mmer_ray.serving.jobs_route import jobs_router
from mmer_ray.serving.live_route import live_router
from mmer_ray.serving.log_secrets import hide_secrets
from mmer_ray.serving.metrics import metrics_router
from mmer_ray.serving.model_list import models_router
from mmer_ray.serving.page_route import page_router
from mmer_ray.serving.service import Service
from mmer_ray.serving.transcriptions_route import transcriptions_router


def build_app(service: Service) -> ASGIApp:
    """The app of one gateway. Its server's lifespan begins and ends the service: a closed one answers nothing more."""
    arrival = Arrival(routes(service), service.options)
    service.metrics.show("mmer_arriving", "Bodies that are arriving", lambda: arrival.num_arriving)
    waiting = "Requests that wait for the answer of an equal one with their `Idempotency-Key`"
    service.metrics.show("mmer_waiting_for_equal", waiting, lambda: service.idempotency.num_waiting)
    return RequestIds(Errors(Access(arrival, service.keys, service.options.retry_after_s), service.on_end))


def routes(service: Service) -> FastAPI:
    """The routes alone, without what protects them."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Now: a server sets up its own log handlers after the app is built.
        hide_secrets()
        await service.jobs.start()
        try:
            yield
        finally:
            service.admission.drain()
            await service.jobs.stop()
            service.close()

    # FastAPI's own pages of the document load scripts from another host.
    app = FastAPI(docs_url=None, redoc_url=None, lifespan=lifespan)
    handle_errors(app)
    describe(app, service.options)
    app.include_router(transcriptions_router(service))
    app.include_router(analyses_router(service))
    app.include_router(jobs_router(service, asked_of))
    app.include_router(models_router(service))
    app.include_router(live_router(service, document, service.on_end))
    app.include_router(health_router(service))
    app.include_router(metrics_router(service.metrics))
    app.include_router(page_router(service))
    return app
