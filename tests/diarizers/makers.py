"""Windows as the networks would have heard them: who talks is written down, voices are directions."""

from __future__ import annotations

import numpy as np

from mmer_ray.diarizers.agglomerative import normalised
from mmer_ray.diarizers.assignment import HeardPieces
from mmer_ray.diarizers.local_reading import LocalReading, graded
from mmer_ray.diarizers.pieces import cut_pieces


def reading(*locals_by_second: str) -> LocalReading:
    """One chunk of frames of 0.1 s; each argument is a local speaker, any letter for each second with their voice."""
    active_TL = np.repeat(np.array([[mark != "." for mark in one] for one in locals_by_second]).T, 10, axis=0)
    return LocalReading(
        frame_samples=1_600,
        first_centre=800,
        chunk_begins=np.array([0]),
        middle_ends=np.array([len(active_TL)]),
        probabilities=graded(np.where(active_TL, 0.9, 0.1).astype(np.float32))[None],
        active=active_TL[None],
    )


def heard(*locals_by_second: str, seed: int = 0) -> HeardPieces:
    """The same with embeddings: equal letters are one voice, `b` and `c` are nearer to each other than to `a`."""
    read = reading(*locals_by_second)
    pieces = cut_pieces(read)
    voices = {"a": [1.0, 0, 0, 0], "b": [0, 1.0, 0, 0], "c": [0, 0.53, 0.848, 0]}
    rng = np.random.default_rng(seed)
    vectors = [
        np.array(voices[locals_by_second[piece.local][int(piece.frames[0]) // 10]]) + rng.normal(0, 0.05, 4)
        for piece in pieces
    ]
    return HeardPieces.of(read, pieces, normalised(np.array(vectors)))
