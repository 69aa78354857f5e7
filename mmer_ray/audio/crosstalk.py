"""Taking out of a party's channel what leaked into it from the other's, so that no word is told twice.

A frame of 20 ms is a leak where the other channel was louder by about as much as that party is usually heard here. Such
frames become silence; where both speak, a frame is louder than the leak alone and stays as it is.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mmer_ray.audio.envelope import CHUNK_FRAMES, FRAME_SAMPLES
from mmer_ray.records import Samples

SMOOTHED_FRAMES = 9
"""180 ms: about a syllable."""
MIN_OWN_FRAMES = 6
"""Shorter stretches between leaks, up to 120 ms, are no words: the tail of a room, a click."""
KEPT_FRAMES = 2
"""Kept on either side of the party's own frames: quiet first and last sounds."""
RAMP_SAMPLES = 160


def leak_frames(own_db: NDArray[np.float32], other_db: NDArray[np.float32], leak_db: float) -> NDArray[np.bool_]:
    """Which frames of a channel hold the other's party only.

    Takes the levels of the channel and of the other one, float32, shape (num_frames,), and how far below the other one
    its party is heard here, at least.
    """
    is_leak = _smoothed_db(other_db) - _smoothed_db(own_db) >= leak_db
    is_own = ~_without_short_runs(is_leak, MIN_OWN_FRAMES)
    is_kept: NDArray[np.bool_] = np.convolve(is_own, np.ones(2 * KEPT_FRAMES + 1), mode="same") > 0
    return ~is_kept


def _smoothed_db(levels_db: NDArray[np.float32]) -> NDArray[np.float32]:
    """The level of the mean power of `SMOOTHED_FRAMES`: a delay between the channels hardly matters to it."""
    kernel = np.ones(min(SMOOTHED_FRAMES, len(levels_db)), dtype=np.float32)
    smoothed: NDArray[np.float32] = 10 * np.log10(np.convolve(10 ** (levels_db / 10), kernel, mode="same"))
    return smoothed


def silenced(samples: Samples, is_leak: NDArray[np.bool_]) -> Samples:
    """The samples with leak frames faded to silence: int16, shape (num_samples,), in and out."""
    if not is_leak.any():
        return samples
    cleaned = samples.copy()
    gains = np.where(is_leak, np.float32(0), np.float32(1))
    before = np.concatenate([gains[:1], gains[:-1]])
    ramp = np.minimum(np.arange(1, FRAME_SAMPLES + 1, dtype=np.float32) / RAMP_SAMPLES, 1)
    frames = cleaned[: len(is_leak) * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    changed = np.flatnonzero((gains < 1) | (before < 1))
    for first in range(0, len(changed), CHUNK_FRAMES):
        part = changed[first : first + CHUNK_FRAMES]
        curve = before[part, None] + (gains[part] - before[part])[:, None] * ramp
        frames[part] = np.rint(frames[part] * curve).astype(np.int16)
    if gains[-1] == 0:
        cleaned[len(is_leak) * FRAME_SAMPLES :] = 0
    return cleaned


def _without_short_runs(is_set: NDArray[np.bool_], min_frames: int) -> NDArray[np.bool_]:
    """Fill runs of False that are shorter than so many frames and lie between True."""
    filled = is_set.copy()
    edges = np.flatnonzero(np.diff(is_set)) + 1
    for start, end in pairwise(edges):
        if not is_set[start] and end - start < min_frames:
            filled[start:end] = True
    return filled
