"""The workers that train one model together, by `torch.distributed`; without a process group, this process alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from torch import distributed, nn

Item = TypeVar("Item")


def size() -> int:
    """How many workers there are."""
    return distributed.get_world_size() if _is_shared() else 1


def rank() -> int:
    """The number of this one, from 0."""
    return distributed.get_rank() if _is_shared() else 0


def is_first() -> bool:
    """Whether this worker writes files for all."""
    return rank() == 0


def gather(items: Sequence[Item]) -> list[Item]:
    """The items of all workers, worker by worker, on each of them. Items must be picklable."""
    if size() == 1:
        return list(items)
    parts: list[list[Item]] = [[] for _ in range(size())]
    distributed.all_gather_object(parts, list(items))
    return [item for part in parts for item in part]


def wait_for_all() -> None:
    """Go on once every worker is here."""
    if size() > 1:
        distributed.barrier()


def share_weights(model: nn.Module) -> None:
    """Give every worker the first one's weights and buffers: before training, once."""
    if size() > 1:
        for value in (*model.parameters(), *model.buffers()):
            distributed.broadcast(value.detach(), 0)


def _is_shared() -> bool:
    return distributed.is_available() and distributed.is_initialized()
