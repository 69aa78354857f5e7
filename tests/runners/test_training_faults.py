"""Errors of Ray, told as our own."""

from __future__ import annotations

import pytest
import torch
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayTaskError, WorkerCrashedError
from ray.train.v2._internal.exceptions import UserExceptionWithTraceback, WorkerHealthCheckFailedError
from ray.train.v2.api.exceptions import WorkerGroupError

from mmer_ray.errors import SourceError, TrainingError
from mmer_ray.runners.training_faults import error_of, is_ours


def of_task(error: Exception) -> RayTaskError:
    return RayTaskError("train", "a traceback", error).as_instanceof_cause()


def of_workers(*errors: Exception) -> WorkerGroupError:
    return WorkerGroupError("a traceback", dict(enumerate(errors)))


@pytest.mark.parametrize(
    "error",
    [
        WorkerCrashedError(),
        OutOfMemoryError("killed"),
        of_task(torch.OutOfMemoryError("CUDA out of memory")),
        of_task(of_workers(RuntimeError("connection closed"), WorkerHealthCheckFailedError("x", ActorDiedError()))),
    ],
    ids=lambda error: type(error).__name__,
)
def test_workers_that_died_are_told_with_the_remedy(error: Exception) -> None:
    ours = error_of(error, "Fold 1, seed 0")
    assert type(ours) is TrainingError
    assert str(ours).startswith("Fold 1, seed 0: a worker died or ran out of memory (")
    assert "lower batch_size or micro_batch_size" in str(ours)
    assert not is_ours(error)


def test_our_own_error_counts_more_than_the_death_of_another_worker() -> None:
    own = SourceError("a.wav cannot be read as sound")
    dead = WorkerHealthCheckFailedError("x", ActorDiedError())
    wrapped = of_task(of_workers(dead, UserExceptionWithTraceback(own, "a traceback")))
    assert error_of(wrapped, "Fold 1, seed 0") is own
    assert is_ours(wrapped)


def test_a_bug_stays_what_it_is() -> None:
    assert error_of(of_task(of_workers(KeyError("x"))), "Fold 1, seed 0") is None
