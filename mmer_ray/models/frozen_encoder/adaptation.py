"""Speaker adaptation: what is common to a speaker's other utterances is taken from each of theirs.

The mean over a speaker is drawn towards the mean over everybody by a relevance factor, as means are adapted in
Reynolds, Quatieri and Dunn, "Speaker Verification Using Adapted Gaussian Mixture Models", 2000, equations 12 to 14: a
speaker with one utterance is measured against everybody, one with many against themselves.

Shape letters: B utterances, D size of an utterance's vector.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mmer_ray.models.interface import UNKNOWN_SPEAKER


def centre_on_speakers(vectors_BD: Tensor, speaker_B: Tensor, everybody_D: Tensor, relevance: float) -> Tensor:
    """Take from each vector the mean of its speaker's other utterances: float, shape (B, D), in and out.

    `speaker_B`: as `EmotionBatch.speaker`; who is not known has nobody beside. Neither the order of the
    utterances nor who else is there matters. Sums run in float64, so that order does not show in the last digits.
    """
    same_BB = (speaker_B[:, None] == speaker_B[None, :]) & (speaker_B != UNKNOWN_SPEAKER)[:, None]
    others_BB = same_BB & ~torch.eye(len(speaker_B), dtype=torch.bool, device=speaker_B.device)
    wide_BD, prior_D = vectors_BD.double(), everybody_D.double()
    total_BD = others_BB.double() @ wide_BD + relevance * prior_D
    mean_BD = total_BD / (others_BB.sum(dim=1, keepdim=True) + relevance)
    return (wide_BD - mean_BD).to(vectors_BD.dtype)
