"""How sure it is whose a turn is: the margin between the nearest speaker and the second nearest.

Of a piece of sound with embedding x that was given to speaker k, with a the cosine distance from x to the mean of k's
other pieces and b the smallest distance to the mean of another speaker,

    s(x) = (b - a) / max(a, b), and 0 for the only piece of its speaker,

the silhouette of Rousseeuw (1987, "Silhouettes: a graphical aid to the interpretation and validation of cluster
analysis", section 2), with distances to means instead of mean distances (the simplified silhouette of Hruschka, de
Castro and Campello 2004). It has no scale, so it means the same on a telephone and in a far microphone. What is nearer
to another speaker has no confidence: below 0 it is 0.

Shape letters: N pieces, E embedding size, K speakers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmer_ray.diarizers.agglomerative import cosine_distances, normalised
from mmer_ray.records import Turn

CONFIDENCE_DIGITS = 3
"""As the lake keeps them: the last digits of an embedding hang on its batch."""


class Spans(NamedTuple):
    """Where pieces lie, in seconds of the recording; float64, shape (N,)."""

    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]


def piece_confidence(
    embeddings_NE: NDArray[np.float32], seconds_N: NDArray[np.float64], labels_N: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """The confidence of each piece, 0..1, shape (N,); None where all are one speaker's: there is no second."""
    num_speakers = int(labels_N.max(initial=0)) + 1
    if len(np.unique(labels_N)) < 2:
        return None
    weighted_NE = embeddings_NE.astype(np.float64) * seconds_N[:, None]
    sums_KE = np.zeros((num_speakers, embeddings_NE.shape[1]))
    np.add.at(sums_KE, labels_N, weighted_NE)
    counts_K = np.bincount(labels_N, minlength=num_speakers)
    pieces = np.arange(len(labels_N))
    distances_NK = cosine_distances(embeddings_NE, normalised(sums_KE))
    distances_NK[:, counts_K == 0] = np.inf
    own_NE = normalised(sums_KE[labels_N] - weighted_NE)
    own_N = np.clip(1.0 - (embeddings_NE.astype(np.float64) * own_NE).sum(axis=1), 0.0, 2.0)
    distances_NK[pieces, labels_N] = np.inf
    other_N = distances_NK.min(axis=1)
    margins_N = (other_N - own_N) / np.maximum(np.maximum(other_N, own_N), 1e-12)
    return np.where(counts_K[labels_N] > 1, np.clip(margins_N, 0.0, 1.0), 0.0)


def with_confidence(
    turns: Sequence[Turn],
    spans: Spans,
    labels_N: NDArray[np.int64],
    confidence_N: NDArray[np.float64] | None,
) -> list[Turn]:
    """Turns with the mean over their speaker's pieces, by the seconds that they share; a turn that shares none has that
    of the nearest piece. None, as before, where the pieces have none."""
    if confidence_N is None:
        return list(turns)
    pieces_of = {speaker: np.flatnonzero(labels_N == speaker) for speaker in np.unique(labels_N).tolist()}
    answers: list[Turn] = []
    for turn in turns:
        mine = pieces_of.get(turn.speaker)
        if mine is None:
            answers.append(turn)
            continue
        shared = np.minimum(spans.end_s[mine], turn.end_s) - np.maximum(spans.start_s[mine], turn.start_s)
        weights = np.maximum(shared, 0.0)
        if not weights.any():
            weights = (np.arange(len(mine)) == shared.argmax()).astype(np.float64)
        mean = float(np.average(confidence_N[mine], weights=weights))
        answers.append(replace(turn, confidence=round(mean, CONFIDENCE_DIGITS)))
    return answers
