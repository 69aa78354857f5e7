"""Trainings of a run on a Ray cluster: folds and seeds side by side, and, of each, N workers together.

One worker is a plain Ray task; several are a run of Ray Train: a process each, joined by `torch.distributed` (gloo on
CPUs, NCCL on GPUs). A worker that dies is started again and goes on from the latest state on disk, so that the run's
folder must be one that all machines see.
"""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from mmer_ray.errors import MmerError, PreflightError
from mmer_ray.runners.cluster import StoppedError, cluster
from mmer_ray.training.history import HISTORY_NAME, last_step
from mmer_ray.training.one_fold import FoldTask, train_fold
from mmer_ray.training.run import CHECKPOINT

MAX_RESTARTS = 3
"""Of one training: after more, its workers die for a reason of its own."""
POLL_S = 1.0
RAY_FOLDER = "ray"
"""Ray Train's own notes, gone once the training is done."""
THREADS_OF_TASKS = 0.01
"""CPUs that a task takes which only waits for Ray Train."""


@dataclass(frozen=True)
class Progress:
    """How far the trainings are."""

    num_done: int
    num_tasks: int
    running: tuple[str, ...]
    """Names of those under way, with their latest step."""


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Trained:
    """What was done."""

    num_trained: int
    num_done_before: int
    wall_s: float
    interrupted: bool


def train(
    tasks: Sequence[FoldTask],
    num_workers: int,
    *,
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
) -> Trained:
    """Do those tasks that are not done, as many at once as the cluster has CPUs for, or GPUs where it has enough.

    Setting `stop` ends the trainings; the next call goes on from their states. Raises `PreflightError` where the
    cluster is too small, and what a training raised.
    """
    begun, stop = perf_counter(), stop or threading.Event()
    for task in tasks:
        task.asked.recipe.parts(0, num_workers)
    todo = [task for task in tasks if not task.is_done]
    num_trained = 0
    if todo:
        # Stopped while Ray was starting: nothing was trained.
        with suppress(StoppedError), cluster(stop):
            num_trained = _drive(todo, num_workers, len(tasks) - len(todo), on_progress, stop)
    return Trained(num_trained, len(tasks) - len(todo), perf_counter() - begun, num_trained < len(todo))


def _drive(
    todo: list[FoldTask], num_workers: int, num_before: int, on_progress: OnProgress | None, stop: threading.Event
) -> int:
    """Keep as many tasks under way as there is room for; returns how many ended well."""
    import ray

    on_gpus, num_at_once = _room(num_workers)
    running: dict[Any, FoldTask] = {}
    waiting, num_done = list(todo), 0
    while (waiting or running) and not stop.is_set():
        while waiting and len(running) < num_at_once:
            task = waiting.pop(0)
            running[_submit(task, num_workers, on_gpus)] = task
        ended, _ = ray.wait(list(running), timeout=POLL_S)
        for answer in ended:
            del running[answer]
            _raise_as_ours(answer)
            num_done += 1
        if on_progress is not None:
            total = num_before + len(todo)
            on_progress(Progress(num_before + num_done, total, tuple(_told(task) for task in running.values())))
    for answer in running:
        ray.cancel(answer, force=True)
    return num_done


def _room(num_workers: int) -> tuple[bool, int]:
    """Whether workers get a GPU each, and how many tasks fit at once."""
    import ray

    has: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    num_gpus, num_cpus = int(has.get("GPU", 0)), int(has.get("CPU", 0))
    if num_gpus >= num_workers:
        return True, num_gpus // num_workers
    if num_cpus < num_workers:
        raise PreflightError(f"{num_workers} workers want a CPU each and the cluster has {num_cpus}: ask for fewer")
    return False, num_cpus // num_workers


def _submit(task: FoldTask, num_workers: int, on_gpus: bool) -> Any:
    import ray

    if num_workers == 1:
        alone = ray.remote(num_cpus=1, num_gpus=int(on_gpus), max_retries=MAX_RESTARTS)(_train_alone)
        return alone.remote(task)
    together = ray.remote(num_cpus=THREADS_OF_TASKS, max_retries=MAX_RESTARTS)(_train_together)
    return together.remote(task, num_workers, on_gpus)


def _train_alone(task: FoldTask) -> None:
    import torch

    train_fold(task, "cuda" if torch.cuda.is_available() else "cpu")


def _train_together(task: FoldTask, num_workers: int, on_gpus: bool) -> None:
    """Run one training on several workers; called in a Ray task of its own."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.train.v2.api.config import LoggingConfig

    notes = task.folder / RAY_FOLDER
    trainer = TorchTrainer(
        _work,
        train_loop_config={"task": task},
        scaling_config=ScalingConfig(num_workers=num_workers, use_gpu=on_gpus),
        # Type checkers see an older class under this name, without `logging_config`.
        run_config=RunConfig(  # type: ignore[call-arg]
            # A name that was there before would be taken for the same run, and for finished.
            name=uuid.uuid4().hex,
            storage_path=str(notes),
            failure_config=FailureConfig(max_failures=MAX_RESTARTS),
            logging_config=LoggingConfig(log_level="WARNING"),
        ),
    )
    trainer.fit()
    shutil.rmtree(notes, ignore_errors=True)


def _work(config: dict[str, Any]) -> None:
    """What each worker of Ray Train does."""
    from ray.train.torch import get_device

    train_fold(config["task"], get_device())


def _raise_as_ours(answer: Any) -> None:
    """Raise what ended a task: our own error where there is one below Ray's."""
    import ray

    try:
        ray.get(answer)
    except Exception as error:
        # The last: what Ray raises may be of a class that it makes of its own and ours, with a traceback as its text.
        ours = [one for one in _causes(error) if isinstance(one, MmerError)]
        if not ours:
            raise
        raise ours[-1] from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    # Ray Train keeps a worker's exception in an attribute that has no public name.
    attributes = (getattr(error, name, None) for name in ("__cause__", "cause", "_base_exc"))
    below = [*attributes, *getattr(error, "worker_failures", {}).values()]
    for one in below:
        if isinstance(one, BaseException) and one is not error:
            yield from _causes(one)


def _told(task: FoldTask) -> str:
    step = last_step(task.folder / CHECKPOINT / HISTORY_NAME)
    return f"{task.split.name}, seed {task.seed}, step {step}"
