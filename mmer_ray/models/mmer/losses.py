"""The four terms of MMER's loss.

The contrastive ones come in two modes. `official` is the published code, which differs from the literature's formulas:
vectors are not scaled to unit length, the supervised term's temperature stands outside the log-softmax and each
utterance is its own positive, the other term looks one way only. `textbook` follows the formulas.

Shape letters: B utterances, K classes, H width of the vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from mmer_ray.models.category import category_loss, total
from mmer_ray.models.ctc.losses import transcript_costs
from mmer_ray.models.interface import EmotionOutput, Targets

TEMPERATURE = 0.07
LAMBDA = 0.1
Mode = Literal["official", "textbook"]


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
    """The published total, in official mode: the sum of `terms`, a scalar."""
    return total(terms(output, targets, augmented))


def terms(
    output: EmotionOutput,
    targets: Targets,
    augmented: EmotionOutput | None = None,
    *,
    mode: Mode = "official",
    weight: float = LAMBDA,
) -> dict[str, Tensor]:
    """Cross-entropy and the weighted others; a term without its material, transcript or augmented view, is left out.

    CTC is summed over the batch in `official` mode, as published for a batch of two, and averaged over its utterances
    in `textbook` mode: a sum would outweigh all else as batches grow.
    """
    assert output.contrast is not None
    found = {
        "category": category_loss(output.logits, targets),
        "supervised": weight * supervised_contrast(output.contrast, targets.labels, mode),
    }
    costs_B = transcript_costs(output, targets)
    if costs_B is not None:
        found["ctc"] = weight * (costs_B.sum() if mode == "official" else costs_B.mean())
    if augmented is not None:
        assert augmented.contrast is not None
        found["augmentation"] = weight * augmentation_contrast(output.contrast, augmented.contrast, mode)
    return found


def supervised_contrast(clean_BH: Tensor, labels_B: Tensor, mode: Mode = "official") -> Tensor:
    """Pull utterances of one class together; a scalar.

    `official`: minus the mean, over equally labelled pairs with each utterance's own, of the log-softmax of dot
    products divided by the temperature. `textbook`: the loss L_out of Khosla et al. 2020, equation 2: cosines over the
    temperature, no pair with oneself, averaged over the utterances that share their class with another; 0 where none
    does.
    """
    if mode == "official":
        log_p_BB = functional.log_softmax(clean_BH @ clean_BH.T, dim=1) / TEMPERATURE
        return -log_p_BB[labels_B[:, None] == labels_B[None, :]].mean()
    unit_BH = functional.normalize(clean_BH, dim=1)
    oneself_BB = torch.eye(len(labels_B), dtype=torch.bool, device=labels_B.device)
    logits_BB = (unit_BH @ unit_BH.T / TEMPERATURE).masked_fill(oneself_BB, -torch.inf)
    positive_BB = (labels_B[:, None] == labels_B[None, :]) & ~oneself_BB
    num_positives_B = positive_BB.sum(dim=1)
    if not num_positives_B.any():
        # A sum over no pairs, that still carries a gradient of zeros.
        return unit_BH.sum() * 0.0
    log_p_BB = functional.log_softmax(logits_BB, dim=1).masked_fill(~positive_BB, 0.0)
    anchors_B = num_positives_B > 0
    return -(log_p_BB.sum(dim=1)[anchors_B] / num_positives_B[anchors_B]).mean()


def augmentation_contrast(clean_BH: Tensor, augmented_BH: Tensor, mode: Mode = "official") -> Tensor:
    """Pull an utterance to its augmented self, away from the augmented others (InfoNCE); a scalar.

    `official`: dot products, from the clean to the augmented view. `textbook`: cosines, the mean of both directions.
    """
    if mode == "textbook":
        clean_BH, augmented_BH = functional.normalize(clean_BH, dim=1), functional.normalize(augmented_BH, dim=1)
    logits_BB = clean_BH @ augmented_BH.T / TEMPERATURE
    own_B = torch.arange(len(clean_BH), device=clean_BH.device)
    there = functional.cross_entropy(logits_BB, own_B)
    if mode == "official":
        return there
    return (there + functional.cross_entropy(logits_BB.T, own_B)) / 2
