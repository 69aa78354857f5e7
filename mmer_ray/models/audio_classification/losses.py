"""The plain loss of a classifier."""

from __future__ import annotations

from torch import Tensor

from mmer_ray.models.category import category_loss, total
from mmer_ray.models.interface import EmotionOutput, Targets


def loss(output: EmotionOutput, targets: Targets, augmented: EmotionOutput | None = None) -> Tensor:
    """The sum of `terms`: a scalar."""
    return total(terms(output, targets, augmented))


def terms(output: EmotionOutput, targets: Targets, augmented: EmotionOutput | None = None) -> dict[str, Tensor]:
    """Mean cross-entropy over the batch: a scalar. No term reads the augmented view."""
    return {"category": category_loss(output.logits, targets)}
