"""The loss of MMER v1: cross-entropy and a little CTC, summed over the batch as published."""

from __future__ import annotations

from torch import Tensor

from mmer_ray.models.ctc.losses import ctc_loss
from mmer_ray.models.interface import EmotionOutput, Targets
from mmer_ray.models.mmer.losses import category_loss

CTC_WEIGHT = 0.001
"""Fixed in the published code; its sums over long transcripts are in the hundreds."""


def loss(output: EmotionOutput, targets: Targets, augmented: EmotionOutput | None = None) -> Tensor:
    """Mean cross-entropy plus the weighted sum of CTC where transcripts are known; there is no augmented view."""
    total = category_loss(output.logits, targets.labels)
    if targets.ctc is None:
        return total
    assert output.ctc_logits is not None
    assert output.num_frames is not None
    return total + CTC_WEIGHT * ctc_loss(output.ctc_logits, output.num_frames, targets.ctc).sum()
