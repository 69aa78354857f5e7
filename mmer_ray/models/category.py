"""The category term that all families share: cross-entropy against labels or against the raters' shares.

Shape letters: B utterances, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mmer_ray.models.interface import Targets


def category_loss(logits_BK: Tensor, targets: Targets) -> Tensor:
    """Mean cross-entropy over the batch: a scalar, float32 or wider.

    With class weights, the weighted mean, as of `torch.nn.CrossEntropyLoss`: a batch of one class costs the same with
    any weights. Against raters' shares, an utterance weighs what its classes do, in proportion to their shares; shares
    that are all 0 or 1 give what labels do.
    """
    costs_B, weights_B = category_costs(logits_BK, targets)
    return costs_B.sum() / weights_B.sum()


def category_costs(logits_BK: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
    """Weighted cross-entropy of each utterance, and its weight: float32 or wider, shape (B,) each."""
    log_p_BK = functional.log_softmax(logits_BK.to(torch.promote_types(logits_BK.dtype, torch.float32)), dim=1)
    shares_BK = targets.shares
    if shares_BK is None:
        shares_BK = functional.one_hot(targets.labels, logits_BK.shape[1])
    weighted_BK = shares_BK.to(log_p_BK.dtype)
    if targets.class_weights is not None:
        weighted_BK = weighted_BK * targets.class_weights.to(log_p_BK.dtype)
    return -(weighted_BK * log_p_BK).sum(dim=1), weighted_BK.sum(dim=1)


def total(terms: dict[str, Tensor]) -> Tensor:
    """Add up weighted terms: a scalar."""
    return torch.stack(list(terms.values())).sum()
