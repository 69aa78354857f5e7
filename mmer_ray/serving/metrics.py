"""The endpoint's figures for Prometheus, in a registry of their own. One gateway counts for itself."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.responses import Response

from mmer_ray.serving.admission import Admission
from mmer_ray.serving.ended import Ended

LATENCY_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Clients may make up methods: others count as `other`, or a label could take any value."""


class Metrics:
    """Counts requests that are over, and shows what is under way when it is asked."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "mmer_requests", "Requests that are over", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "mmer_request_seconds",
            "Seconds from a request's head to the end of its answer",
            ["route"],
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self._audio_s = Counter("mmer_audio_seconds", "Seconds of audio that were scored", registry=self.registry)
        self._body_bytes = Counter("mmer_body_bytes", "Bytes of bodies that arrived", registry=self.registry)
        self._refusals = Counter("mmer_refusals", "Requests refused, by code", ["code"], registry=self.registry)

    def count(self, ended: Ended) -> None:
        """Count a request that is over: an `OnEnd`."""
        method = ended.method if ended.method in METHODS else "other"
        self._requests.labels(method, ended.route, str(ended.status)).inc()
        self._seconds.labels(ended.route).observe(ended.seconds)
        self._body_bytes.inc(ended.body_bytes)
        # A live call that was broken off has sound, and was never scored as a whole.
        self._audio_s.inc(ended.audio_s or 0.0 if ended.code is None else 0.0)
        if ended.code is not None:
            self._refusals.labels(ended.code).inc()

    def watch(self, admission: Admission) -> None:
        """Show the places taken and the seconds of audio that wait."""
        self.show("mmer_in_flight", "Requests that are scored or wait for it", lambda: admission.in_flight)
        self.show("mmer_queued_seconds", "Seconds of audio that are scored or wait", lambda: admission.queued_s)
        self.show("mmer_draining", "1 while no more requests are taken", lambda: admission.draining)

    def show(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Show a number that is asked for when the figures are."""
        Gauge(name, what, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """All figures as Prometheus reads them."""
        return generate_latest(self.registry)


def metrics_router(metrics: Metrics) -> APIRouter:
    """`GET /metrics`."""
    router = APIRouter(tags=["state"])

    @router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
    async def figures() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return router
