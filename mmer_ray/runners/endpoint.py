"""The online endpoint from its start to its end: Ray, Serve, the application, the drain."""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from mmer_ray.errors import PreflightError
from mmer_ray.profiles import Profile
from mmer_ray.runners.cluster import StoppedError, cluster, keep_ray_quiet
from mmer_ray.serve_options import ServeOptions

APPLICATION = "mmer"
STORE_BYTES = 512 << 20
"""Sounds on their way to the models lie in Ray's store: 500 of half a minute, or 20 of the largest that are taken.
What does not fit Ray writes to disk."""
LOOK_EVERY_S = 0.1
END_S = 5.0
"""The gateway has this much longer to say that it is drained."""
NICENESS = "RAY_worker_niceness"
"""By default Ray lets all its workers step back behind other programs; here the gateway must not."""
PROXY_SETUP = ("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "mmer_ray.serving.bounded_heads:bound_heads")
"""Serve's proxy, which keeps a request's head before we are asked, has no bounds of its own, and heeds headers of
strangers."""


@dataclass(frozen=True)
class Endpoint:
    """What runs."""

    address: str
    """`http://HOST:PORT`."""
    start_s: float
    """Seconds from the call to the first answer that a replica can give."""


@contextmanager
def online(profile: Profile, *, insecure: bool = False, stop: threading.Event | None = None) -> Iterator[Endpoint]:
    """Serve a profile until the context ends: on the connected cluster, that of `RAY_ADDRESS`, or a private one.

    At its end nothing new is taken, and what is being answered has `serve.drain_s` to end. `insecure` takes requests
    without a key.

    Raises `PreflightError` where a model is missing, the address is taken, Serve runs already or replicas do not
    start, `StoppedError` once `stop` is set before all is ready.
    """
    from mmer_ray.stages.preflight import preflight_models

    begun, stop = time.perf_counter(), stop or threading.Event()
    keep_ray_quiet()
    # It takes seconds to import, which pass while models are checked and Ray starts.
    threading.Thread(target=import_module, args=("ray.serve",), name="import", daemon=True).start()
    profile = with_whole_paths(profile)
    preflight_models(profile)
    require_free(profile.serve)
    os.environ.setdefault(NICENESS, "0")
    os.environ.setdefault(*PROXY_SETUP)
    with _speaking_again(), cluster(stop, store_bytes=STORE_BYTES), _serving(profile, insecure, stop):
        yield Endpoint(address_of(profile.serve), time.perf_counter() - begun)


@contextmanager
def _serving(profile: Profile, insecure: bool, stop: threading.Event) -> Iterator[None]:
    from ray import serve

    from mmer_ray.runners.online import application

    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    if serve.status().proxies:
        raise PreflightError(
            "Ray Serve runs on this cluster already: deploy infra/serve.yaml there with `serve deploy`"
        )
    options = profile.serve
    try:
        _start_serve(options)
        target = serve.RunTarget(application(profile, insecure=insecure), name=APPLICATION, route_prefix="/")
        serve.run_many([target], wait_for_applications_running=False)
        _wait_until_running(stop)
        yield
        _drain(options.drain_s)
        # While the proxy is there still: requests that had no place yet are told that there is none.
        serve.delete(APPLICATION)
    finally:
        _mute(True)
        serve.shutdown()  # type: ignore[no-untyped-call]


def _start_serve(options: ServeOptions) -> None:
    """Start Serve's own processes. Raises `PreflightError` where its proxy cannot run."""
    from ray import serve
    from ray.exceptions import RayError

    from mmer_ray.runners.online import LOGS

    try:
        serve.start(http_options={"host": options.host, "port": options.port}, logging_config=LOGS)
    except (RayError, TimeoutError) as error:
        raise PreflightError(
            f"Ray Serve does not start at {address_of(options)} ({type(error).__name__}): is the port taken on a node?"
        ) from error


def _wait_until_running(stop: threading.Event) -> None:
    from ray import serve

    while True:
        found = serve.status().applications[APPLICATION]
        if found.status == "RUNNING":
            return
        if found.status in ("DEPLOY_FAILED", "UNHEALTHY"):
            raise PreflightError(f"the endpoint does not start: {found.message.strip()}")
        if stop.wait(LOOK_EVERY_S):
            raise StoppedError("stopped while the endpoint was being started")


def _mute(is_mute: bool) -> None:
    """Ray says on our stderr that it ends its own processes; there is no public way to keep it from that in 2.60."""
    import ray._private.worker as worker

    worker._worker_logs_enabled = not is_mute


@contextmanager
def _speaking_again() -> Iterator[None]:
    """What Ray says once all is over is heard again."""
    try:
        yield
    finally:
        _mute(False)


def _drain(drain_s: float) -> None:
    """Let what is being answered end."""
    from ray import serve

    with suppress(TimeoutError):
        serve.get_app_handle(APPLICATION).drain.remote(drain_s).result(timeout_s=drain_s + END_S)


def with_whole_paths(profile: Profile) -> Profile:
    """The same profile; relative paths of `serve`, which mean this folder, say so to processes that run in another."""
    options = profile.serve
    whole = {"state": str(Path(options.state).absolute())}
    if options.keys:
        whole["keys"] = str(Path(options.keys).absolute())
    return profile.model_copy(update={"serve": options.model_copy(update=whole)})


def address_of(options: ServeOptions) -> str:
    """Where the endpoint answers, for a client on this machine or, of a wildcard address, elsewhere.

    >>> address_of(ServeOptions(host="::1", port=9000))
    'http://[::1]:9000'
    """
    host = f"[{options.host}]" if ":" in options.host else options.host
    return f"http://{host}:{options.port}"


def require_free(options: ServeOptions) -> None:
    """Raise `PreflightError` unless the address can be listened on."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            # As the server's own socket: connections that an earlier one left behind do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        taken = "another program listens there" if error.errno == errno.EADDRINUSE else str(error)
        raise PreflightError(
            f"{address_of(options)} cannot be served: {taken}; choose another with --host, --port"
        ) from error
