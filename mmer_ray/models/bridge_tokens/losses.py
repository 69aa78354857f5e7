"""Cross-entropy and one concordance term per dimension, in equal shares.

The printed formula of the concordance lacks the square of the difference of the means; this is Lin's (1989). It does
not change when both sides are shifted and scaled alike, so dimensions of -1..1 cost what ratings of 1..5 would.

Shape letters: B utterances.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mmer_ray.models.category import category_loss, total
from mmer_ray.models.interface import EmotionOutput, Targets

DIMENSIONS = ("valence", "arousal", "dominance")
SHARES = (1.0, 0.5, 0.33, 0.25)
"""Weight of each term by how many there are. Three, the classes, valence and arousal, are the published case, 0.33 as
printed; a fourth, dominance, is our extension."""
LEAST_SPREAD = 1e-8
"""Below this, the denominator of the concordance is no spread but rounding."""


def loss(output: EmotionOutput, targets: Targets, augmented: EmotionOutput | None = None) -> Tensor:
    """The sum of `terms`: a scalar."""
    return total(terms(output, targets, augmented))


def terms(output: EmotionOutput, targets: Targets, augmented: EmotionOutput | None = None) -> dict[str, Tensor]:
    """The weighted terms that can be computed: scalars. No term reads the augmented view.

    A dimension counts if the model predicts it and the truth of one utterance at least is known.
    """
    found = {"category": category_loss(output.logits, targets)}
    if output.dimensions is not None and targets.dimensions is not None:
        for name, predicted_B, true_B in zip(DIMENSIONS, output.dimensions.T, targets.dimensions.T, strict=True):
            if not predicted_B.isnan().all() and not true_B.isnan().all():
                found[name] = 1 - concordance(predicted_B, true_B)
    return {name: SHARES[len(found) - 1] * term for name, term in found.items()}


def concordance(predicted_B: Tensor, true_B: Tensor) -> Tensor:
    """Lin's concordance correlation: a scalar, -1..1, from two tensors of shape (B,), with population moments.

    Utterances whose truth is NaN are left out. It is 0 where neither side varies and both means are equal, or where no
    truth is known: no concordance has been shown.
    """
    wide = torch.promote_types(predicted_B.dtype, torch.float32)
    known_B = ~true_B.isnan()
    count = known_B.sum().clamp(min=1)
    zero = predicted_B.new_zeros((), dtype=wide)
    predicted_B, true_B = (torch.where(known_B, side.to(wide), zero) for side in (predicted_B, true_B))
    predicted_mean, true_mean = predicted_B.sum() / count, true_B.sum() / count
    predicted_centred_B = torch.where(known_B, predicted_B - predicted_mean, zero)
    true_centred_B = torch.where(known_B, true_B - true_mean, zero)
    spread = predicted_centred_B.square().sum() / count + true_centred_B.square().sum() / count
    covariance = (predicted_centred_B * true_centred_B).sum() / count
    distance = (predicted_mean - true_mean).square()
    return 2 * covariance / (spread + distance).clamp(min=LEAST_SPREAD)
