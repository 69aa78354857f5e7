"""The four terms of MMER's loss, in the form of the published code (`official`), which differs from its formulas:
vectors are not scaled to unit length, the supervised term's temperature stands outside the log-softmax and each
utterance is its own positive, CTC is summed over the batch.

Shape letters: B utterances, K classes, T padded frames, V symbols, L padded target symbols, H width of the vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mmer_ray.models.interface import EmotionOutput, Targets

TEMPERATURE = 0.07
LAMBDA = 0.1
BLANK = 0
TARGET_PADDING = -100


@dataclass(frozen=True)
class LossTerms:
    """Scalars, each differentiable."""

    category: Tensor
    ctc: Tensor
    supervised: Tensor
    augmentation: Tensor

    def total(self, weight: float = LAMBDA) -> Tensor:
        """The category term plus the weighted sum of the others."""
        return self.category + weight * (self.augmentation + self.supervised + self.ctc)


def loss(output: EmotionOutput, targets: Targets, augmented: EmotionOutput | None = None) -> Tensor:
    """The published total. Terms without their material, no transcript symbols or no augmented view, are 0."""
    assert output.contrast is not None
    nothing = output.logits.new_zeros(())
    ctc, augmentation = nothing, nothing
    if targets.ctc is not None:
        assert output.ctc_logits is not None
        assert output.num_frames is not None
        ctc = ctc_loss(output.ctc_logits, output.num_frames, targets.ctc).sum()
    if augmented is not None:
        assert augmented.contrast is not None
        augmentation = augmentation_contrast(output.contrast, augmented.contrast)
    return LossTerms(
        category=category_loss(output.logits, targets.labels),
        ctc=ctc,
        supervised=supervised_contrast(output.contrast, targets.labels),
        augmentation=augmentation,
    ).total()


def category_loss(logits_BK: Tensor, labels_B: Tensor) -> Tensor:
    """Mean cross-entropy over the batch."""
    return functional.cross_entropy(logits_BK, labels_B)


def ctc_loss(logits_BTV: Tensor, num_frames_B: Tensor, targets_BL: Tensor) -> Tensor:
    """CTC of each utterance, float, shape (B,); 0 where the target does not fit into the frames.

    Targets are padded with `TARGET_PADDING`. The published loss is the sum over the batch.
    """
    log_p_TBV = functional.log_softmax(logits_BTV, dim=2).transpose(0, 1)
    target_mask_BL = targets_BL >= 0
    return functional.ctc_loss(
        log_p_TBV,
        targets_BL[target_mask_BL],
        num_frames_B,
        target_mask_BL.sum(dim=1),
        blank=BLANK,
        reduction="none",
        # Published: False. A target that is too long then gives inf and, one step later, NaN weights.
        zero_infinity=True,
    )


def supervised_contrast(clean_BH: Tensor, labels_B: Tensor) -> Tensor:
    """Pull utterances of one class together: minus the mean of the scaled log-softmax over equally labelled pairs."""
    log_p_BB = functional.log_softmax(clean_BH @ clean_BH.T, dim=1) / TEMPERATURE
    return -log_p_BB[labels_B[:, None] == labels_B[None, :]].mean()


def augmentation_contrast(clean_BH: Tensor, augmented_BH: Tensor) -> Tensor:
    """Pull an utterance to its augmented self, away from the augmented others (InfoNCE, one direction)."""
    logits_BB = clean_BH @ augmented_BH.T / TEMPERATURE
    return functional.cross_entropy(logits_BB, torch.arange(len(clean_BH), device=clean_BH.device))
