"""The plain loss of a classifier."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from mmer_ray.models.interface import EmotionOutput, Targets


def loss(output: EmotionOutput, targets: Targets, augmented: EmotionOutput | None = None) -> Tensor:
    """Mean cross-entropy over the batch: a scalar. No term reads the augmented view."""
    return functional.cross_entropy(output.logits, targets.labels)
