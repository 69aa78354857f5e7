"""Late fusion's loss: each branch learns alone; `training/fusion_weight.py` then chooses the weight that joins them."""

from __future__ import annotations

from torch import Tensor

from mmer_ray.models.category import category_loss, total
from mmer_ray.models.interface import EmotionOutput, Targets


def loss(output: EmotionOutput, targets: Targets, augmented: EmotionOutput | None = None) -> Tensor:
    """The sum of `terms`: a scalar."""
    return total(terms(output, targets, augmented))


def terms(output: EmotionOutput, targets: Targets, augmented: EmotionOutput | None = None) -> dict[str, Tensor]:
    """Mean cross-entropy of each branch; an augmented view is one more batch of the same utterances."""
    clean = _of_branches(output, targets)
    if augmented is None:
        return clean
    other = _of_branches(augmented, targets)
    return {name: (clean[name] + other[name]) / 2 for name in clean}


def _of_branches(output: EmotionOutput, targets: Targets) -> dict[str, Tensor]:
    assert output.branches is not None
    return {name: category_loss(logits_BK, targets) for name, logits_BK in output.branches.items()}
