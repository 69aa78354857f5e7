"""The speaker model's loss."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def additive_margin_loss(
    embedding_BD: Tensor, centre_KD: Tensor, label_B: Tensor, *, margin: float = 0.2, scale: float = 30.0
) -> Tensor:
    """Pull each embedding to its speaker's centre, by a margin in cosine; a scalar, averaged over the batch.

    Takes unit-length embeddings, float, shape (B, D), a centre for each of K training speakers, float, shape (K, D),
    and labels, int64, shape (B,).
    """
    cosine_BK = embedding_BD @ functional.normalize(centre_KD, dim=-1).T
    own_BK = functional.one_hot(label_B, len(centre_KD))
    return functional.cross_entropy(scale * (cosine_BK - margin * own_BK), label_B)
