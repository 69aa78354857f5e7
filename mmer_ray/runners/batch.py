"""The door for corpora: Ray Data over shards of recordings, one actor with all stages per slot.

Addresses go out, results come back: a task is one shard of recordings (their addresses), its answer is one row of
JSON per recording. Audio stays inside the actor.

A recording that kills its worker must neither stop the job nor run for ever. Ray restarts the actor and runs the shard
again; `Attempts`, which lives outside the workers, tells the new one that it was there before. It then takes the
shard's recordings one at a time, and gives up on one that has killed `max_attempts` workers: `worker_crash`.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import threading
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import ray
import ray.data
from pydantic import TypeAdapter

from mmer_ray.errors import ErrorCode
from mmer_ray.profiles import Profile
from mmer_ray.records import Failure, Recording, ScoredRecording
from mmer_ray.runners.shards import cut_shards

SHARD = TypeAdapter(tuple[Recording, ...])
SCORED = TypeAdapter(ScoredRecording)
OBJECT_STORE_BYTES = 256 << 20
"""Only addresses and results cross the store of a cluster that we start ourselves; Ray would take 30 % of memory."""

CHATTY = ("ray.data._internal.progress", "ray._private.authentication.authentication_token_setup")
"""They warn that we switched Ray's progress bars off, and that a private cluster is guarded by a token."""

LOCAL = "local"
"""Ray's word for a private cluster: never joins somebody else's that happens to run on this host."""
STOP_CHECK_S = 0.2
"""How often a wait for results looks whether it should end."""

Item = TypeVar("Item")
Batch = dict[str, npt.NDArray[Any]]


def score(
    recordings: Sequence[Recording],
    profile: Profile,
    key: bytes,
    stop: threading.Event | None = None,
    actor: type[ScoreShard] | None = None,
) -> Generator[ScoredRecording, None, None]:
    """Score recordings on the Ray cluster at `RAY_ADDRESS`, or on one started here for the time of the call.

    Yields recordings as their shards end, each exactly once, in no promised order. Setting `stop` ends at once with
    what has arrived. `actor` replaces `ScoreShard` in drills.
    """
    stop = stop or threading.Event()
    missing = {recording.uri: recording for recording in recordings}
    if not missing:
        return
    with cluster():
        for _ in range(profile.run.max_attempts):
            rows = _score_shards(tuple(missing.values()), profile, key, actor or ScoreShard)
            for scored in _until(stop, rows):
                if missing.pop(scored.recording.uri, None) is not None:
                    yield scored
            if not missing or stop.is_set():
                return
        # Nothing is lost: what never arrived in any round is a row too.
        yield from (_crashed(recording, profile.run.max_attempts) for recording in missing.values())


@contextmanager
def cluster() -> Iterator[None]:
    """A Ray connection: the one that exists, else the cluster at `RAY_ADDRESS`, else a private local one."""
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS", LOCAL)
    # Its plan and its progress are ours to report; what goes wrong still shows.
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    # Ray's start takes SIGTERM for itself; the caller's handler commits what is finished.
    terminate = signal.getsignal(signal.SIGTERM)
    ray.init(
        address=address,
        logging_level=logging.WARNING,
        log_to_driver=False,
        include_dashboard=False if address == LOCAL else None,
        object_store_memory=OBJECT_STORE_BYTES if address == LOCAL else None,
    )
    if callable(terminate) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        ray.shutdown()


def num_actors(profile: Profile) -> int:
    """Model actors for a profile on the connected cluster: as told, or one per CPU, or per GPU share."""
    if profile.run.actors:
        return profile.run.actors
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    if profile.run.gpus_per_actor:
        return max(1, int(resources.get("GPU", 0) / profile.run.gpus_per_actor))
    return max(1, int(resources.get("CPU", 1)))


def _until(stop: threading.Event, items: Iterator[Item]) -> Iterator[Item]:
    """Pass items on until `stop` is set, also while waiting for one: Ray's iterators only look up between blocks."""
    ready: queue.SimpleQueue[Item | BaseException | None] = queue.SimpleQueue()

    def draw() -> None:
        try:
            for item in items:
                ready.put(item)
            ready.put(None)
        except BaseException as error:
            ready.put(error)

    threading.Thread(target=draw, name="ray-results", daemon=True).start()
    while not stop.is_set():
        try:
            item = ready.get(timeout=STOP_CHECK_S)
        except queue.Empty:
            continue
        if item is None:
            return
        if isinstance(item, BaseException):
            raise item
        yield item


def _score_shards(
    recordings: tuple[Recording, ...], profile: Profile, key: bytes, actor: type[ScoreShard]
) -> Iterator[ScoredRecording]:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    size = num_actors(profile)
    shards = cut_shards(recordings, num_actors=size, max_shard_s=profile.run.shard_s)
    size = min(size, len(shards))
    rows = [{"shard": index, "recordings": SHARD.dump_json(shard)} for index, shard in enumerate(shards)]
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        actor,
        fn_constructor_args=(profile, key, ray.remote(num_cpus=0)(Attempts).remote()),
        batch_size=None,
        # The next shard waits beside the actor: with one in flight it idles while the driver thinks, a seventh of the
        # throughput (`benchmarks/runner_overhead.py`).
        compute=ray.data.ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=2),
        num_cpus=profile.run.cpus_per_actor,
        num_gpus=profile.run.gpus_per_actor,
        # Bounded by `Attempts`, which ends each recording; Ray's own count is per task and would end the job.
        ray_remote_args_fn=lambda: {"max_restarts": -1, "max_task_retries": -1},
    )
    dataset.set_name("mmer_score")
    for batch in dataset.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=0):
        yield from (SCORED.validate_json(row) for row in batch["scored"])


class Attempts:
    """How often each shard and each recording was begun and not ended. Outlives the workers that die on them."""

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()

    def begin(self, name: str) -> int:
        """Count one more beginning; returns how many there have been since the last `end`."""
        self._begun[name] += 1
        return self._begun[name]

    def end(self, name: str) -> None:
        del self._begun[name]


class ScoreShard:
    """The Ray Data actor: loads the pipeline once, scores one shard per call."""

    def __init__(self, profile: Profile, key: bytes, attempts: Any) -> None:
        from mmer_ray.pipelines.corpus import Pipeline

        self._pipeline = Pipeline(profile, key)
        self._attempts = attempts
        self._max_attempts = profile.run.max_attempts

    def __call__(self, batch: Batch) -> Batch:
        scored: list[ScoredRecording] = []
        for shard, recordings in zip(batch["shard"], batch["recordings"], strict=True):
            scored.extend(self._score(f"shard {shard}", SHARD.validate_json(recordings)))
        return {"scored": np.array([SCORED.dump_json(one) for one in scored], dtype=object)}

    def _score(self, shard: str, recordings: tuple[Recording, ...]) -> list[ScoredRecording]:
        if ray.get(self._attempts.begin.remote(shard)) == 1:
            return list(self._pipeline.score(recordings))
        # A worker died on this shard: one at a time shows on which recording.
        return [scored for recording in recordings for scored in self._alone(recording)]

    def _alone(self, recording: Recording) -> list[ScoredRecording]:
        # The run in company was the first attempt, so `deaths` counts from the second.
        deaths = ray.get(self._attempts.begin.remote(recording.uri)) - 1
        if deaths + 1 >= self._max_attempts:
            return [_crashed(recording, self._max_attempts)]
        scored = list(self._pipeline.score([recording]))
        ray.get(self._attempts.end.remote(recording.uri))
        return scored


def _crashed(recording: Recording, attempts: int) -> ScoredRecording:
    message = f"the worker died {attempts} times on this recording; the next run tries it again"
    return ScoredRecording(
        recording=replace(recording, attempt=attempts),
        status="failed",
        failure=Failure(ErrorCode.WORKER_CRASH, "worker", message),
    )
