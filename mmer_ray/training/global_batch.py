"""One batch over all workers: each sees everybody's rows, and their gradients are added up.

Every worker computes the same loss of the same rows. Its own rows carry the gradient, the others' are constants, so
that each worker has the part of the gradient that goes through its utterances; the parts add up to the gradient of one
pass over everything. `DistributedDataParallel` takes the mean of losses that workers compute apart, which is another
quantity for a loss that compares utterances, and expects one forward pass for each backward pass; so gradients are
exchanged here.

Without a process group of `torch.distributed` there is one worker, and nothing is sent.

Shape letters: B utterances of this worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, distributed

from mmer_ray.errors import TrainingError
from mmer_ray.training import world
from mmer_ray.training.answers import Rows, check_same_fields

BUCKET_BYTES = 25 * 2**20
"""Gradients are sent in pieces of about this size, as `DistributedDataParallel` does."""


def gather(rows: Rows, num_batches: int = 1) -> Rows:
    """Put the rows of all workers under each other, in the order of their ranks; this worker's keep their gradient.

    `num_batches`: how many gathers a step has; raises `TrainingError` on every worker where theirs are not equal, or
    where one has a field that another lacks.
    """
    if world.size() == 1:
        return rows
    headers = world.gather([(tuple(rows), len(next(iter(rows.values()))), num_batches)])
    check_same_fields([names for names, _, _ in headers])
    counts = [count for _, _, count in headers]
    if len(set(counts)) > 1:
        raise TrainingError(f"workers have {counts} batches in one step: give each the same number")
    sizes = [size for _, size, _ in headers]
    return {name: _gather_tensor(rows[name], sizes) for name in sorted(rows)}


def _gather_tensor(own_BX: Tensor, sizes: Sequence[int]) -> Tensor:
    """Gather tensors of `sizes` rows: padded to the longest, as the backends want equal shapes."""
    padded = own_BX.new_zeros(max(sizes), *own_BX.shape[1:])
    padded[: len(own_BX)] = own_BX.detach()
    parts = [torch.empty_like(padded) for _ in sizes]
    distributed.all_gather(parts, padded)
    rows = [part[:size] for part, size in zip(parts, sizes, strict=True)]
    rows[world.rank()] = own_BX
    return torch.cat(rows)


def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace each parameter's gradient by its sum over all workers; one that nobody has stays None."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if world.size() == 1 or not trained:
        return
    has_gradient = torch.tensor([parameter.grad is not None for parameter in trained], dtype=torch.int32)
    has_gradient = has_gradient.to(trained[0].device)
    distributed.all_reduce(has_gradient)
    gradients = []
    for parameter, count in zip(trained, has_gradient.tolist(), strict=True):
        if count:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
    for bucket in _buckets(gradients):
        flat = torch.cat([gradient.flatten() for gradient in bucket])
        distributed.all_reduce(flat)
        for gradient, summed in zip(bucket, torch.split(flat, [one.numel() for one in bucket]), strict=True):
            gradient.copy_(summed.view_as(gradient))


def _buckets(gradients: Iterable[Tensor]) -> list[list[Tensor]]:
    """Cut into lists of one type of about `BUCKET_BYTES`."""
    buckets: list[list[Tensor]] = []
    size = 0
    for gradient in gradients:
        if not buckets or size >= BUCKET_BYTES or buckets[-1][0].dtype != gradient.dtype:
            buckets.append([])
            size = 0
        buckets[-1].append(gradient)
        size += gradient.nbytes
    return buckets
