"""The plain loss of a classifier."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from mmer_ray.models.interface import EmotionOutput, Targets


def loss(output: EmotionOutput, targets: Targets, augmented: EmotionOutput | None = None) -> Tensor:
    """Mean cross-entropy over the batch: a scalar; an augmented view is one more batch of the same utterances."""
    views = [output] if augmented is None else [output, augmented]
    total = output.logits.new_zeros(())
    for view in views:
        total = total + functional.cross_entropy(view.logits.float(), targets.labels) / len(views)
    return total
