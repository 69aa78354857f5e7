"""Buffers that a training step moves, such as norms' running statistics, over many forward passes and workers.

Every pass of a step starts from the same buffers, and the step adds the mean of what the passes changed, or, to
counters of whole numbers, the sum: the same for any cut of the step's utterances over workers.
"""

from __future__ import annotations

import torch
from torch import distributed, nn

from mmer_ray.training import world


class StepBuffers:
    """The buffers of one model during one step."""

    def __init__(self, model: nn.Module) -> None:
        self._buffers = list(model.buffers())
        self._before = [buffer.clone() for buffer in self._buffers]
        self._sums = [torch.zeros_like(buffer) for buffer in self._buffers]
        self._has_moved = torch.zeros(len(self._buffers), dtype=torch.int64)
        self._num_passes = 0

    @torch.no_grad()
    def rewind(self) -> None:
        """Put the buffers back as they were before the step; not between a forward pass and its backward pass."""
        for buffer, before in zip(self._buffers, self._before, strict=True):
            buffer.copy_(before)

    @torch.no_grad()
    def count(self) -> None:
        """Note what a pass has made of the buffers."""
        self._num_passes += 1
        for index, (buffer, before) in enumerate(zip(self._buffers, self._before, strict=True)):
            if not torch.equal(buffer, before):
                self._sums[index] += buffer - before
                self._has_moved[index] = 1

    @torch.no_grad()
    def settle(self) -> None:
        """Set the buffers to what the passes of all workers come to; what none of them moved stays as it was."""
        if not self._buffers:
            return
        facts = torch.cat([self._has_moved, torch.tensor([self._num_passes])]).to(self._buffers[0].device)
        if world.size() > 1:
            distributed.all_reduce(facts)
        *has_moved, num_passes = facts.tolist()
        for buffer, before, total, moved in zip(self._buffers, self._before, self._sums, has_moved, strict=True):
            if moved and world.size() > 1:
                distributed.all_reduce(total)
            # After one pass they are what it made of them, to the last digit.
            if moved and num_passes > 1:
                buffer.copy_(before + (total / num_passes if buffer.is_floating_point() else total))
