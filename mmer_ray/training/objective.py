"""The gradient of a family's loss over the batch of a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from mmer_ray.models.families import Loss
from mmer_ray.models.interface import EmotionModel
from mmer_ray.training import world
from mmer_ray.training.batch import TrainingBatch


def backward(
    model: EmotionModel,
    loss: Loss,
    micro_batches: Sequence[TrainingBatch],
    *,
    mode: Literal["accumulated", "cached"],
    autocast: torch.dtype | None,
) -> dict[str, float]:
    """Add this worker's share of the gradient of the loss to the model; returns the terms."""
    total = 0.0
    share = 1 / (len(micro_batches) * world.size())
    for batch in micro_batches:
        if batch.seed is not None:
            torch.manual_seed(batch.seed)
        clean, *variations = batch.views
        device = clean.samples.device.type
        with torch.autocast(device, autocast or torch.bfloat16, enabled=autocast is not None):
            augmented = model.score_variation(variations[0]) if variations else None
            value = loss(model(clean), batch.targets, augmented) * share
        torch.autograd.backward(value)
        total += value.item()
    found = torch.tensor(total)
    if world.size() > 1:
        for one in model.parameters():
            if one.requires_grad:
                one.grad = torch.zeros_like(one) if one.grad is None else one.grad
                torch.distributed.all_reduce(one.grad)
        torch.distributed.all_reduce(found)
    return {"loss": float(found)}
