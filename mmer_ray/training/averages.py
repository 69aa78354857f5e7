"""The running average of a model's weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def running_average(model: nn.Module, decay: float) -> AveragedModel:
    """Copy a model into a running average of its weights and buffers; counters are copied at each update.

    Update n (from 0) keeps the share min(`decay`, n / (9 + n)) of the average: early on it must forget the fresh
    weights faster than it will later.
    """

    def average(averaged: Tensor, current: Tensor, num_averaged: Tensor | int) -> Tensor:
        if not current.is_floating_point():
            return current
        kept = min(decay, float(num_averaged / (9 + num_averaged)))
        return torch.lerp(averaged, current, 1 - kept)

    return AveragedModel(model, avg_fn=average, use_buffers=True)
