"""The loss of MMER v1: cross-entropy and a little CTC, summed over the batch as published."""

from __future__ import annotations

from torch import Tensor

from mmer_ray.models.category import category_loss, total
from mmer_ray.models.ctc.losses import transcript_costs
from mmer_ray.models.interface import EmotionOutput, Targets

CTC_WEIGHT = 0.001
"""Fixed in the published code; its sums over long transcripts are in the hundreds."""


def loss(output: EmotionOutput, targets: Targets, augmented: EmotionOutput | None = None) -> Tensor:
    """The sum of `terms`: a scalar."""
    return total(terms(output, targets, augmented))


def terms(output: EmotionOutput, targets: Targets, augmented: EmotionOutput | None = None) -> dict[str, Tensor]:
    """Mean cross-entropy and the weighted sum of CTC where transcripts are known; there is no augmented view."""
    found = {"category": category_loss(output.logits, targets)}
    costs_B = transcript_costs(output, targets)
    if costs_B is not None:
        found["ctc"] = CTC_WEIGHT * costs_B.sum()
    return found
