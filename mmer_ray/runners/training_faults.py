"""What ended a training on Ray, told as an error of this package."""

from __future__ import annotations

from collections.abc import Iterator

from mmer_ray.errors import MmerError, TrainingError

KEPT_IN = ("__cause__", "cause", "_base_exc", "health_check_failure", "controller_failure")
"""Attributes in which Ray and Ray Train keep the exception below theirs."""


def error_of(error: BaseException, training: str) -> MmerError | None:
    """Our own error below what Ray raised; a `TrainingError` where a worker died or its memory did not suffice.

    `training` names it in the message. None: neither, which is a bug.
    """
    found = list(_causes(error))
    # The last: what Ray raises may be of a class that it makes of its own and ours, with a traceback as its text.
    for one in reversed(found):
        if isinstance(one, MmerError):
            return one
    for one in reversed(found):
        if isinstance(one, _deaths()):
            reason = str(one).strip().partition("\n")[0]
            return TrainingError(
                f"{training}: a worker died or ran out of memory ({type(one).__name__}: {reason}): lower batch_size or "
                "micro_batch_size with --set, or ask for fewer --workers; the same command goes on from the last state"
            )
    return None


def is_ours(error: BaseException) -> bool:
    """Whether an error of this package is below what Ray raised: the next try would end alike."""
    return any(isinstance(one, MmerError) for one in _causes(error))


def _deaths() -> tuple[type[BaseException], ...]:
    import torch
    from ray import exceptions

    of_ray = (exceptions.WorkerCrashedError, exceptions.RayActorError, exceptions.NodeDiedError)
    return (*of_ray, exceptions.OutOfMemoryError, torch.OutOfMemoryError, MemoryError)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and all below it, each one after what wraps it."""
    yield error
    below = [*(getattr(error, name, None) for name in KEPT_IN), *getattr(error, "worker_failures", {}).values()]
    for one in below:
        if isinstance(one, BaseException) and one is not error:
            yield from _causes(one)
