"""The online endpoint on Ray Serve: a gateway that speaks HTTP, and replicas that hold the models.

    client -- Serve's proxy -- Gateway (serving.app: limits, access, jobs) -- handle -- Scorer (serving.scorer), n times

An upload is read and refused in the gateway: it holds no place of a model. The gateway is one process with one event
loop, so its limits count all requests, and it runs on the cluster's head, where its state lies. A replica answers as
many calls side by side as it is sent, since its batches are formed of them; how many that are is the gateway's decision
(`serving/admission.py`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from pydantic import ValidationError
from ray import serve
from ray.serve import Application

from mmer_ray.errors import MmerError, ProfileError, UsageError
from mmer_ray.options import Options
from mmer_ray.profiles import Profile, load_profile, with_settings
from mmer_ray.records import ScoredRecording
from mmer_ray.runners.ray_scorers import RayScorers, Refused
from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.bug_place import class_and_place
from mmer_ray.serving.interface import Asked, Scorers, Served
from mmer_ray.serving.request_head import REQUEST_ID_HEADER

GATEWAY, SCORER = "Gateway", "Scorer"
"""The names of the deployments."""
HEALTH_PERIOD_S, HEALTH_TIMEOUT_S = 2.0, 30.0
"""A replica is asked this often whether it is well, and replaced once it has not answered for the second time."""
HEAD = "node:__internal_head__"
"""What Ray gives the head of a cluster, also of one on a single machine, 1 of."""
STUCK_AFTER = 2
"""A replica that was asked all the time and answered nothing for so many times `request_timeout_s` is not well."""
STOP_LOOK_S = 0.2
"""How often a replica that is being stopped looks whether all its requests have ended."""
START_TRIES = 3
SPARE = 1_000
"""Requests to the gateway beside uploads, scoring and live calls: pages, health, jobs that are asked about."""
TARGET_PER_THREAD = 4
"""Replicas are added while each has more requests than this for each thread that works on them."""
LOGS = {"log_level": "WARNING", "enable_access_log": False}
"""Serve's own: its access log would have a line per request beside our audit log."""


class Progress:
    """Whether clips that are waited for come out. Jobs may take hours and do not count."""

    def __init__(self, patience_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._patience_s, self._now = patience_s, now
        self._num_waiting = 0
        self._since_s = 0.0
        """Of the last answer, or of the first call after a time without any."""

    @contextmanager
    def watched(self, asked: Asked) -> Iterator[None]:
        """Around a call. An exception is no answer: those who gave up waiting come out by one."""
        if asked.is_job:
            yield
            return
        if not self._num_waiting:
            self._since_s = self._now()
        self._num_waiting += 1
        try:
            yield
            self._since_s = self._now()
        finally:
            self._num_waiting -= 1

    def check(self) -> None:
        """Raise `RuntimeError` where calls wait and nothing came out for too long."""
        if self._num_waiting and (silent_s := self._now() - self._since_s) > self._patience_s:
            raise RuntimeError(f"{self._num_waiting} clips wait and none was answered for {silent_s:.0f} s")


class ReplicaBugError(MmerError):
    """A bug while a clip was scored: its class and place."""


class Scorer:
    """A replica: the models, loaded once, for all requests that it is sent."""

    def __init__(self, profile: Profile) -> None:
        self._progress = Progress(STUCK_AFTER * profile.serve.request_timeout_s)
        self._scorers = self.load(profile)

    def load(self, profile: Profile) -> Scorers:
        """The scorers of this replica. Raises `PreflightError` where a model is missing."""
        # torch takes seconds to import; who makes the application, and imports this file, needs none.
        from mmer_ray.serving.local_scorers import LocalScorers
        from mmer_ray.serving.scorer import OnlineScorer

        return LocalScorers(OnlineScorer(profile), most_at_a_time(profile.serve))

    async def served(self) -> Served:
        """What answers."""
        return await self._scorers.served()

    async def score(self, asked: Asked) -> ScoredRecording | Refused:
        """Score one clip; being cancelled drops the work.

        Raises `ReplicaBugError` for a bug: Serve logs what is raised here with its words and those of its causes, which
        may quote the recording.
        """
        with self._progress.watched(asked):
            try:
                return await self._scorers.score(asked)
            except UsageError as error:
                return Refused(str(error))
            except Exception as bug:
                told = ReplicaBugError(class_and_place(bug))
            # Here, where the bug is no longer its context.
            raise told

    def check_health(self) -> None:
        """Asked by Serve, which replaces this replica once it raises."""
        self._progress.check()


@serve.ingress()
class Gateway:
    """The HTTP side: `serving.app` over the replicas."""

    def __init__(self, profile: Profile, handle: Any, insecure: bool) -> None:
        from mmer_ray.serving.service import Service

        self._service = Service.open(profile, RayScorers(handle), insecure=insecure)

    def __serve_build_asgi_app__(self) -> Any:
        """The app. Made here and not where the application is made: it holds sockets, threads and a database."""
        from mmer_ray.serving.app import build_app

        return _BehindProxy(build_app(self._service))

    async def drain(self, timeout_s: float) -> bool:
        """Take nothing new and wait until what is being answered has ended; False where it took longer."""
        drained: bool = await self._service.admission.drained(timeout_s)
        return drained


class ServeArguments(Options):
    """The arguments of `build`, as a file for `serve deploy` has them."""

    profile: str = "embedded"
    """A shipped profile, or the path of a TOML file on the cluster's head."""
    settings: tuple[str, ...] = ()
    """`stage.key=value` settings on top."""


def build(arguments: Mapping[str, Any]) -> Application:
    """The application for `serve deploy` and `serve build`: `mmer_ray.runners.online:build`.

    Raises `ProfileError` for arguments or settings that are off.
    """
    try:
        wanted = ServeArguments.model_validate(arguments)
    except ValidationError as error:
        raise ProfileError(f"args: {error}") from error
    profile = load_profile(wanted.profile, wanted.settings)
    if not Path(profile.serve.state).is_absolute():
        raise ProfileError(f"serve.state: {profile.serve.state} must be an absolute path, the same on all nodes")
    return application(profile)


def application(profile: Profile, *, insecure: bool = False, scorer: type[Scorer] = Scorer) -> Application:
    """Gateway and replicas for the connected cluster. `insecure` takes requests without a key; `scorer` replaces
    `Scorer` in drills."""
    threads = threads_of(profile, _cpus_of_nodes())
    profile = with_settings(profile, [f"serve.threads_per_replica={threads}"])
    options = profile.serve
    replicas = _deployment(
        scorer,
        SCORER,
        options.drain_s,
        **_replica_number(options),
        max_ongoing_requests=most_at_a_time(options),
        max_surge_percent=options.max_surge_percent,
        ray_actor_options=_actor_options(profile, threads),
    )
    gateway = _deployment(
        Gateway,
        GATEWAY,
        options.drain_s,
        num_replicas=1,
        max_ongoing_requests=options.max_uploads + options.max_in_flight + options.max_streams + SPARE,
        max_queued_requests=SPARE,
        backpressure_config={"status_code": 503, "retry_after_s": options.retry_after_s},
        # Keys, jobs and the audit log lie on a disk of its node: elsewhere it would find none of them.
        ray_actor_options={"num_cpus": 0, "resources": {HEAD: 0.001}},
    )
    bound: Application = gateway.bind(profile, replicas.bind(profile), insecure)
    return bound


def _deployment(kind: type, name: str, drain_s: float, **options: Any) -> Any:
    """A deployment with what both have in common."""
    # Serve's decorator has no type for being called with a class alone.
    made: Any = serve.deployment(kind)
    return made.options(
        name=name,
        max_constructor_retry_count=START_TRIES,
        graceful_shutdown_timeout_s=drain_s,
        graceful_shutdown_wait_loop_s=STOP_LOOK_S,
        health_check_period_s=HEALTH_PERIOD_S,
        health_check_timeout_s=HEALTH_TIMEOUT_S,
        logging_config=LOGS,
        **options,
    )


def most_at_a_time(options: ServeOptions) -> int:
    """Calls that a replica may be sent side by side: all that the gateway lets through."""
    return options.max_in_flight + options.max_running_jobs + options.max_streams


def threads_of(profile: Profile, cpus: Sequence[float]) -> int:
    """Batches that a replica works on side by side, on nodes with so many CPUs: as the profile says, else its share of
    the cores.

    >>> threads_of(Profile(name="one replica"), [8.0])
    8
    >>> threads_of(with_settings(Profile(name="three"), ["serve.min_replicas=3"]), [4.0, 4.0])
    2
    """
    options = profile.serve
    if options.threads_per_replica:
        return options.threads_per_replica
    if profile.run.gpus_per_actor:
        return 1
    share = sum(cpus) // max(options.min_replicas, options.max_replicas)
    return max(1, int(min(share, max(cpus, default=1.0))))


def _cpus_of_nodes() -> list[float]:
    """CPUs of each node of the connected cluster; of this machine where there is none, as in `serve build`."""
    if not ray.is_initialized():
        return [float(len(os.sched_getaffinity(0)))]
    return [node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _replica_number(options: ServeOptions) -> dict[str, Any]:
    if options.max_replicas <= options.min_replicas:
        return {"num_replicas": options.min_replicas}
    return {
        "autoscaling_config": {
            "min_replicas": options.min_replicas,
            "max_replicas": options.max_replicas,
            "target_ongoing_requests": TARGET_PER_THREAD * max(1, options.threads_per_replica),
        }
    }


def _actor_options(profile: Profile, threads: int) -> dict[str, Any]:
    """What a replica takes. It claims less than it works with, so that its successor finds room beside it."""
    return {
        "num_cpus": profile.run.cpus_per_actor * threads,
        "num_gpus": profile.run.gpus_per_actor,
    }


class _BehindProxy:
    """An app without the header `x-request-id` of its own: Serve's proxy hands the request's id in, and adds it to
    every answer once more."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sends(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = [pair for pair in message.get("headers", ()) if pair[0].lower() != REQUEST_ID_HEADER]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, sends)
