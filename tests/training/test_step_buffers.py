"""Buffers over the passes of a step."""

from __future__ import annotations

import torch
from torch import nn

from mmer_ray.training.step_buffers import StepBuffers


class Listener(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.rand(50, generator=torch.Generator().manual_seed(0)))
        self.register_buffer("mean", torch.ones(1))
        self.register_buffer("num_passes", torch.tensor(7))
        self.mean: torch.Tensor
        self.num_passes: torch.Tensor
        self.table: torch.Tensor


def test_a_step_leaves_the_mean_of_its_passes_counts_them_and_does_not_touch_constants() -> None:
    model = Listener()
    table = model.table.clone()
    buffers = StepBuffers(model)
    starts = []
    for value in (2.0, 4.0, 9.0):
        buffers.rewind()
        starts.append(float(model.mean))
        model.mean.fill_(value)
        model.num_passes += 1
        buffers.count()
    buffers.settle()
    assert starts == [1.0, 1.0, 1.0]
    assert float(model.mean) == 5.0
    assert int(model.num_passes) == 10
    assert torch.equal(model.table, table)
