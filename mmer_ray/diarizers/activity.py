"""From the local speakers of chunks and the speakers of pieces to who talks in each frame of a window.

Shape letters: F frames of a window, K speakers, T frames of a chunk, L local speakers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from mmer_ray.diarizers.local_reading import LocalReading
from mmer_ray.diarizers.pieces import Piece

EXCLUSIVE_S = 0.5
"""Who is heard best is judged over so long: about a word."""


def speaker_activity(
    reading: LocalReading, pieces: Sequence[Piece], labels_N: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Say how sure it is that each speaker talks in each frame: float32, shape (F, K); 0 where they do not.

    A local speaker of a chunk is, at any moment, the speaker of its nearest piece: where the network took two voices
    for one, the pieces know better. One without a piece of its own is who it is in the chunks beside.
    """
    num_speakers = int(labels_N.max()) + 1
    activity_FK = np.zeros((reading.num_frames, num_speakers), np.float32)
    owned: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, piece in enumerate(pieces):
        owned[piece.chunk, piece.local].append(index)
    unknown: list[tuple[int, int, int, int]] = []
    for chunk, begin, end in reading.middles():
        for local in range(reading.active.shape[2]):
            frames, sureness = _heard(reading, chunk, local, begin, end)
            if len(frames) == 0:
                continue
            if mine := owned.get((chunk, local)):
                centres = np.array([pieces[index].centre for index in mine])
                nearest = np.abs(frames[:, None] - centres).argmin(axis=1)
                _raise(activity_FK, frames, labels_N[mine][nearest], sureness)
            else:
                unknown.append((chunk, local, begin, end))
    known_FK = activity_FK > 0
    for chunk, local, begin, end in unknown:
        frames, sureness = _heard(reading, chunk, local, begin, end)
        speaker = _elsewhere(reading, known_FK, chunk, local)
        if speaker is None:
            # Nobody knows them: what nobody else says goes to who talks next to it, so that no speech is lost.
            nobodys = ~known_FK[frames].any(axis=1)
            frames, sureness = frames[nobodys], sureness[nobodys]
            speaker = _nearest(known_FK, frames) if len(frames) else 0
        _raise(activity_FK, frames, np.full(len(frames), speaker), sureness)
    return activity_FK


def exclusive_stretches(reading: LocalReading, activity_FK: NDArray[np.float32]) -> list[tuple[float, float, int]]:
    """Say who is heard best where somebody talks: start and end in seconds and the speaker, apart, in order."""
    width = 1 + 2 * round(EXCLUSIVE_S / reading.frame_s / 2)
    smooth_FK = uniform_filter1d(activity_FK, width, axis=0, mode="nearest")
    best_F = np.where(activity_FK > 0, smooth_FK, -1.0).argmax(axis=1)
    speaker_F = np.where((activity_FK > 0).any(axis=1), best_F, -1)
    borders = np.flatnonzero(np.diff(speaker_F, prepend=-2, append=-2))
    return [
        (reading.edge_s(first), reading.edge_s(end), int(speaker_F[first]))
        for first, end in pairwise(borders.tolist())
        if speaker_F[first] >= 0
    ]


def _heard(
    reading: LocalReading, chunk: int, local: int, begin: int, end: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Frames of the window between `begin` and `end` in which a local speaker talks, and how sure that is."""
    offset = int(reading.chunk_begins[chunk])
    frames = begin + np.flatnonzero(reading.active[chunk, begin - offset : end - offset, local])
    return frames, reading.probabilities[chunk, frames - offset, local]


def _raise(
    activity_FK: NDArray[np.float32],
    frames: NDArray[np.int64],
    speakers: NDArray[np.int64],
    sureness: NDArray[np.float32],
) -> None:
    """Let speakers talk; two local speakers may turn out to be one."""
    activity_FK[frames, speakers] = np.maximum(activity_FK[frames, speakers], sureness)


def _elsewhere(reading: LocalReading, known_FK: NDArray[np.bool_], chunk: int, local: int) -> int | None:
    """Who a local speaker is where the chunks beside know: the speaker with most frames in which both talk alone."""
    offset = int(reading.chunk_begins[chunk])
    active_TL = reading.active[chunk][: reading.num_frames - offset]
    alone_T = active_TL[:, local] & (active_TL.sum(axis=1) == 1)
    known_TK = known_FK[offset : offset + len(active_TL)]
    votes_K = (known_TK & alone_T[:, None] & (known_TK.sum(axis=1, keepdims=True) == 1)).sum(axis=0)
    return int(votes_K.argmax()) if votes_K.max() > 0 else None


def _nearest(known_FK: NDArray[np.bool_], frames: NDArray[np.int64]) -> int:
    """The speaker who talks closest to some frames."""
    talking_F, speakers = np.nonzero(known_FK)
    if len(talking_F) == 0:
        return 0
    return int(speakers[np.abs(talking_F - frames.mean()).argmin()])
