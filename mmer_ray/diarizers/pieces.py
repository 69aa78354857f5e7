"""Pieces of sound in which one local speaker talks alone. No torch.

Shape letters: T frames of a chunk, L local speakers, N pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmer_ray.diarizers.local_reading import LocalReading

PIECE_S = 2.0
"""Long enough to tell voices. Longer ones would hide that the network took two voices for one."""
MIN_PIECE_S = 0.3
"""Shorter ones say nothing about a voice."""


@dataclass(frozen=True)
class Piece:
    """Sound of one local speaker of one chunk, without gaps and without others."""

    chunk: int
    local: int
    frames: NDArray[np.int64]
    """Frames of the window, ascending; pauses between them are left out."""
    frame_s: float

    @property
    def seconds(self) -> float:
        """How much sound it is."""
        return len(self.frames) * self.frame_s

    @property
    def centre(self) -> float:
        """Its middle, in frames of the window."""
        return float(self.frames.mean())


def cut_pieces(reading: LocalReading) -> list[Piece]:
    """Cut what each local speaker says alone in the middle of each chunk into pieces of about `PIECE_S`."""
    pieces: list[Piece] = []
    for chunk, begin, end in reading.middles():
        offset = int(reading.chunk_begins[chunk])
        active_TL = reading.active[chunk, begin - offset : end - offset]
        alone_TL = active_TL & (active_TL.sum(axis=1, keepdims=True) == 1)
        for local in range(alone_TL.shape[1]):
            frames = begin + np.flatnonzero(alone_TL[:, local])
            seconds = len(frames) * reading.frame_s
            if seconds >= MIN_PIECE_S:
                parts = np.array_split(frames, max(1, round(seconds / PIECE_S)))
                pieces.extend(Piece(chunk, local, part, reading.frame_s) for part in parts)
    return pieces or _longest(reading)


def _longest(reading: LocalReading) -> list[Piece]:
    """Where nobody talks alone for long enough: the longest that is there, so that no speech is without a speaker."""
    pieces: list[Piece] = []
    for chunk, begin, end in reading.middles():
        offset = int(reading.chunk_begins[chunk])
        for local, active_T in enumerate(reading.active[chunk, begin - offset : end - offset].T):
            if active_T.any():
                pieces.append(Piece(chunk, local, begin + np.flatnonzero(active_T), reading.frame_s))
    return sorted(pieces, key=lambda piece: -len(piece.frames))[:1]


def opinions(pieces: Sequence[Piece]) -> NDArray[np.float64]:
    """What the network says of two pieces: 1 one speaker, -1 two, 0 nothing, as they lie in two chunks; (N, N)."""
    chunk_N = np.array([piece.chunk for piece in pieces])
    local_N = np.array([piece.local for piece in pieces])
    same_chunk_NN = chunk_N[:, None] == chunk_N
    opinions_NN = np.where(same_chunk_NN, np.where(local_N[:, None] == local_N, 1.0, -1.0), 0.0)
    np.fill_diagonal(opinions_NN, 0.0)
    return opinions_NN
