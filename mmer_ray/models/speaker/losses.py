"""The speaker model's losses: two ways to ask for a margin between speakers.

Both take unit-length embeddings, float, shape (B, D), a centre for each of K training speakers, float, shape (K, D),
and labels, int64, shape (B,), and return a scalar, the mean over the batch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def additive_margin_loss(
    embedding_BD: Tensor, centre_KD: Tensor, label_B: Tensor, *, margin: float = 0.2, scale: float = 30.0
) -> Tensor:
    """Pull each embedding to its speaker's centre, by a margin in cosine (AM-softmax, CosFace)."""
    cosine_BK = embedding_BD @ functional.normalize(centre_KD, dim=-1).T
    own_BK = functional.one_hot(label_B, len(centre_KD))
    return functional.cross_entropy(scale * (cosine_BK - margin * own_BK), label_B)


def additive_angular_margin_loss(
    embedding_BD: Tensor, centre_KD: Tensor, label_B: Tensor, *, margin: float = 0.2, scale: float = 32.0
) -> Tensor:
    """Pull each embedding to its speaker's centre, by a margin in angle, in radians (ArcFace, section 3.1).

    Start with a margin near 0 and let it grow to 0.2: with the full margin a fresh network learns nothing at first.
    """
    cosine_BK = embedding_BD @ functional.normalize(centre_KD, dim=-1).T
    own_BK = functional.one_hot(label_B, len(centre_KD)).bool()
    # The sine's slope is infinite at 0; 1e-7 of cosine is the step of float32 there.
    sine_BK = torch.sqrt((1 - cosine_BK.square()).clamp(min=1e-7))
    closer_BK = cosine_BK * math.cos(margin) - sine_BK * math.sin(margin)
    # Beyond pi - margin the cosine of the sum would rise again; from there a straight line keeps falling.
    closer_BK = torch.where(cosine_BK > -math.cos(margin), closer_BK, cosine_BK - margin * math.sin(margin))
    return functional.cross_entropy(scale * torch.where(own_BK, closer_BK, cosine_BK), label_B)
