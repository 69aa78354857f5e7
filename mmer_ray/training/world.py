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


def share_buffers(model: nn.Module) -> None:
    """Give every worker the first one's buffers (running statistics), as `DistributedDataParallel` does."""
    if size() == 1:
        return
    learning = {name for name, part in model.named_children() if any(one.requires_grad for one in part.parameters())}
    for name, buffer in model.named_buffers():
        # Those of frozen encoders are constants.
        top, _, below = name.partition(".")
        if not below or top in learning:
            distributed.broadcast(buffer, 0)


def share_weights(model: nn.Module) -> None:
    """Give every worker the first one's weights and buffers: before training, once."""
    if size() > 1:
        for value in (*model.parameters(), *model.buffers()):
            distributed.broadcast(value.detach(), 0)


def _is_shared() -> bool:
    return distributed.is_available() and distributed.is_initialized()
