"""Trainings of a run on a Ray cluster: folds and seeds side by side, and, of each, N workers together.

One worker is a plain Ray task; several are a run of Ray Train: a process each, joined by `torch.distributed` (gloo on
CPUs, NCCL on GPUs). Workers that die are started again and go on from the latest state on disk, so that the run's
folder must be one that all machines see. An error of this package is not tried again: it would come back.
"""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from mmer_ray.errors import PreflightError
from mmer_ray.runners.cluster import StoppedError, cluster
from mmer_ray.runners.training_faults import error_of, is_ours
from mmer_ray.training.history import HISTORY_NAME, last_step
from mmer_ray.training.one_fold import FoldTask, train_fold
from mmer_ray.training.run import CHECKPOINT

MAX_RESTARTS = 3
"""Of one training. Workers that die more often than that will not stop dying."""
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
    cluster is too small, `UsageError` where workers cannot share a batch alike, what a training raised, and
    `TrainingError` where its workers kept dying or their memory did not suffice; other trainings then end too.
    """
    begun, stop = perf_counter(), stop or threading.Event()
    for task in tasks:
        # A head is solved without batches.
        if not task.asked.architecture.is_head:
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
    try:
        while (waiting or running) and not stop.is_set():
            while waiting and len(running) < num_at_once:
                task = waiting.pop(0)
                running[_submit(task, num_workers, on_gpus)] = task
            ended, _ = ray.wait(list(running), timeout=POLL_S)
            for answer in ended:
                _raise_as_ours(answer, _name(running.pop(answer)))
                num_done += 1
            if on_progress is not None:
                total = num_before + len(todo)
                on_progress(Progress(num_before + num_done, total, tuple(_told(task) for task in running.values())))
    finally:
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
    """Run one training on several workers, again where they died; called in a Ray task of its own."""
    from ray.train.v2.api.exceptions import TrainingFailedError

    notes = task.folder / RAY_FOLDER
    try:
        for num_restarts in range(MAX_RESTARTS + 1):
            try:
                _train_once(task, num_workers, on_gpus, notes)
                return
            except TrainingFailedError as error:
                if num_restarts == MAX_RESTARTS or is_ours(error):
                    raise
    finally:
        shutil.rmtree(notes, ignore_errors=True)


def _train_once(task: FoldTask, num_workers: int, on_gpus: bool, notes: Path) -> None:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.train.v2.api.config import LoggingConfig

    trainer = TorchTrainer(
        _work,
        train_loop_config={"task": task},
        scaling_config=ScalingConfig(num_workers=num_workers, use_gpu=on_gpus),
        # Type checkers see an older class under this name, without `logging_config`.
        run_config=RunConfig(  # type: ignore[call-arg]
            # A name that was there before would be taken for the same run, and for finished.
            name=uuid.uuid4().hex,
            storage_path=str(notes),
            # Ray Train would try again whatever was raised.
            failure_config=FailureConfig(max_failures=0),
            logging_config=LoggingConfig(log_level="WARNING"),
        ),
    )
    trainer.fit()


def _work(config: dict[str, Any]) -> None:
    """What each worker of Ray Train does."""
    from ray.train.torch import get_device

    train_fold(config["task"], get_device())


def _raise_as_ours(answer: Any, training: str) -> None:
    """Raise what ended a task, as our own error where it can be told as one."""
    import ray

    try:
        ray.get(answer)
    except Exception as error:
        ours = error_of(error, training)
        if ours is None:
            raise
        raise ours from error


def _told(task: FoldTask) -> str:
    return f"{_name(task)}, step {last_step(task.folder / CHECKPOINT / HISTORY_NAME)}"


def _name(task: FoldTask) -> str:
    return f"{task.split.name}, seed {task.seed}"
