"""How many speakers a window has, and which piece is whose, by a distance that does not hang on length or channel.

Two pieces of one voice are further apart the shorter they are and the worse the sound is, so no single threshold on
their cosine fits a telephone and a far microphone. The distance here divides that out: with s(A, B) the mean cosine
between the pieces of two groups and s(A, A) that between the different pieces of one,

    d(A, B) = 1 - s(A, B) / sqrt(s(A, A) s(B, B)),

the correction for attenuation (Spearman 1904, "The proof and measurement of association between two things"). It
estimates the distance of the two voices themselves: about 0 for one voice, whatever the noise. What the segmentation
network thinks of pieces of one chunk moves it a little.

Shape letters: N pieces, E embedding size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmer_ray.diarizers.agglomerative import by_first_appearance

SAME_VOICE_THRESHOLD = 0.4
"""Largest distance of one voice to itself. On a telephone pair and two meetings the number of speakers is right from
0.25 to 0.55."""
BETWEEN_WINDOWS_THRESHOLD = 0.4
"""Cosine distance between the mean embeddings of two windows above which they are of two people. Five minutes and half
a minute of one telephone voice are 0.01 apart, the two voices of that call 0.5, those of a meeting 0.76."""
EVIDENCE_S = 1.0
EVIDENCE_SHARE = 0.004
"""How far little evidence can lead: a group of t seconds is a voice of its own only beyond a distance of e / t, with e
one second or this share of all seconds. At the threshold, 2.5 s of a minute or 1 % of ten minutes are enough."""
NETWORK_WEIGHT = 0.2
NETWORK_PAIRS = 2.0
"""The segmentation network has an opinion of its own on pieces of one chunk: the same local speaker or another. A
distance moves by at most the weight, by half of it where two pairs agree."""
WITHIN_COSINE = 0.5
WITHIN_PAIRS = 4.0
"""What is assumed about the pieces of a group before any two of them were compared: their mean cosine, and how many
pairs that is worth."""
WITHIN_RANGE = (0.2, 0.6)
"""Groups whose pieces agree less are no voice. Those that agree more hold the same sound again and again, a phrase of a
machine or a tiled file, which makes the voice no better known: pieces of real voices agree by 0.4 to 0.65."""


def find_speakers(
    embeddings_NE: NDArray[np.float32],
    seconds_N: NDArray[np.float64],
    opinions_NN: NDArray[np.float64],
    threshold: float,
    max_speakers: int,
    min_speakers: int = 1,
) -> NDArray[np.int64]:
    """Group pieces into speakers: labels 0.. in order of first appearance, shape (N,).

    `opinions_NN`: 1 where the network says that two pieces are of one speaker, -1 of two, 0 where it does not say. The
    closest two groups are joined until all are further apart than `threshold` and there are at most `max_speakers`;
    then groups with too little evidence for their distance join the nearest. Nothing is joined to fewer than
    `min_speakers`.
    """
    if len(embeddings_NE) < 2:
        return np.zeros(len(embeddings_NE), dtype=np.int64)
    groups = Groups(embeddings_NE, seconds_N, opinions_NN)
    while groups.num_groups > max(1, min_speakers):
        first, second, distance = groups.closest()
        if distance > threshold and groups.num_groups <= max_speakers:
            break
        groups.join(first, second)
    while groups.num_groups > max(1, min_speakers):
        weak = groups.weakest()
        if weak is None:
            break
        groups.join(*weak)
    return by_first_appearance(groups.labels_N)


class Groups:
    """Groups of pieces that are joined two at a time; sums over pairs are kept, not recomputed.

    A group is named by its first piece: the row of one that joined another stays, at an infinite distance to all.
    """

    def __init__(
        self, embeddings_NE: NDArray[np.float32], seconds_N: NDArray[np.float64], opinions_NN: NDArray[np.float64]
    ) -> None:
        cosines_NN = embeddings_NE.astype(np.float64) @ embeddings_NE.astype(np.float64).T
        np.fill_diagonal(cosines_NN, 0.0)
        # Sums of cosines, of opinions, and of how many opinions there are: shape (3, N, N).
        self._sums = np.stack([cosines_NN, opinions_NN, np.abs(opinions_NN)])
        self._counts_N = np.ones(len(embeddings_NE))
        self._seconds_N = np.asarray(seconds_N, dtype=np.float64).copy()
        self._is_group_N = np.ones(len(embeddings_NE), dtype=bool)
        self.labels_N = np.arange(len(embeddings_NE))
        self.num_groups = len(embeddings_NE)
        self._distances_NN = self._distances(np.arange(len(embeddings_NE)))
        np.fill_diagonal(self._distances_NN, np.inf)

    def closest(self) -> tuple[int, int, float]:
        """Find the two groups that are closest: the smaller index first, and their distance."""
        first, second = divmod(int(self._distances_NN.argmin()), len(self.labels_N))
        return min(first, second), max(first, second), float(self._distances_NN[first, second])

    def weakest(self) -> tuple[int, int] | None:
        """Find the group whose evidence falls furthest short of its distance, and its nearest; None where none does."""
        nearest_N = self._distances_NN.argmin(axis=1)
        evidence_s = max(EVIDENCE_S, EVIDENCE_SHARE * float(self._seconds_N[self._is_group_N].sum()))
        excess_N = self._distances_NN.min(axis=1) - evidence_s / np.maximum(self._seconds_N, 1e-3)
        weakest = int(excess_N.argmin())
        nearest = int(nearest_N[weakest])
        return (min(weakest, nearest), max(weakest, nearest)) if excess_N[weakest] <= 0 else None

    def join(self, first: int, second: int) -> None:
        """Make one group of two."""
        self._sums[:, first] += self._sums[:, second]
        self._sums[:, :, first] += self._sums[:, :, second]
        self._counts_N[first] += self._counts_N[second]
        self._seconds_N[first] += self._seconds_N[second]
        self._is_group_N[second] = False
        self.num_groups -= 1
        self.labels_N[self.labels_N == second] = first
        changed_N = self._distances(np.array([first]))[0]
        changed_N[first] = np.inf
        changed_N[~self._is_group_N] = np.inf
        self._distances_NN[first] = self._distances_NN[:, first] = changed_N
        self._distances_NN[second] = self._distances_NN[:, second] = np.inf

    def _distances(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Distances of some groups to all: shape (number of rows, N)."""
        num_pairs_N = self._counts_N * (self._counts_N - 1)
        cosines_N, opinions_N, num_opinions_N = self._sums[:, rows]
        within_N = (np.diagonal(self._sums[0]) + WITHIN_PAIRS * WITHIN_COSINE) / (num_pairs_N + WITHIN_PAIRS)
        within_N = np.clip(within_N, *WITHIN_RANGE)
        between = cosines_N / (self._counts_N[rows, None] * self._counts_N)
        opinion = opinions_N / (num_opinions_N + NETWORK_PAIRS)
        distances = 1.0 - between / np.sqrt(within_N[rows, None] * within_N) - NETWORK_WEIGHT * opinion
        return np.asarray(distances, dtype=np.float64)
