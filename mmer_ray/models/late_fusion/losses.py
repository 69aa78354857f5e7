"""Late fusion's loss: each branch learns alone, the weight that joins them is chosen afterwards."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from mmer_ray.models.interface import EmotionOutput, Targets


def loss(output: EmotionOutput, targets: Targets, augmented: EmotionOutput | None = None) -> Tensor:
    """Sum of the branches' cross-entropies; an augmented view is one more batch of the same utterances."""
    views = [output] if augmented is None else [output, augmented]
    total = output.logits.new_zeros(())
    for view in views:
        total = total + branch_loss(view, targets.labels) / len(views)
    return total


def branch_loss(output: EmotionOutput, labels_B: Tensor) -> Tensor:
    """Sum of the branches' mean cross-entropies: a scalar."""
    assert output.branches is not None
    total = output.logits.new_zeros(())
    for logits_BK in output.branches.values():
        total = total + functional.cross_entropy(logits_BK.float(), labels_B)
    return total
