"""Speaker adaptation: what is common to a speaker's other utterances is taken from each of theirs.

The mean over a speaker is drawn towards the mean over everybody by a relevance factor, as means are adapted in
Reynolds, Quatieri and Dunn, "Speaker Verification Using Adapted Gaussian Mixture Models", 2000, equations 12 to 14: a
speaker with one utterance is measured against everybody, one with many against themselves.

Shape letters: B utterances, D size of an utterance's vector, G speakers.
"""

from __future__ import annotations

from torch import Tensor

from mmer_ray.models.interface import UNKNOWN_SPEAKER


def centre_on_speakers(vectors_BD: Tensor, speaker_B: Tensor, everybody_D: Tensor, relevance: float) -> Tensor:
    """Take from each vector the mean of its speaker's other utterances: float, shape (B, D), in and out.

    `speaker_B`: as `EmotionBatch.speaker`; who is not known has nobody beside. Neither the order of the
    utterances nor who else is there matters. Sums run in float64, so that order does not show in the last digits; a
    recording of thousands of utterances takes memory in proportion to them.
    """
    # Numbers from 0 up: of those that nobody knows, then of speakers.
    group_B = speaker_B - UNKNOWN_SPEAKER
    wide_BD, prior_D = vectors_BD.double(), everybody_D.double()
    num_groups = int(group_B.max()) + 1
    total_GD = wide_BD.new_zeros(num_groups, wide_BD.shape[1]).index_add(0, group_B, wide_BD)
    known_B1 = (speaker_B != UNKNOWN_SPEAKER)[:, None]
    others_BD = (total_GD[group_B] - wide_BD) * known_B1
    num_others_B1 = (group_B.bincount()[group_B][:, None] - 1) * known_B1
    mean_BD: Tensor = (others_BD + relevance * prior_D) / (num_others_B1 + relevance)
    return (wide_BD - mean_BD).to(vectors_BD.dtype)
