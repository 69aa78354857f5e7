"""Where it is quiet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmer_ray.records import SAMPLE_RATE_HZ, Samples

STEP_S = 0.02


def stretch_energies(samples: Samples, frame_samples: int, num_frames: int) -> NDArray[np.int64]:
    """Energy of every stretch of so many frames, over all channels.

    Takes int16, shape (num_channels, num_samples); the last part of a frame is left out. Returns int64, shape
    (num_stretches,): whole numbers are equal on every machine, so that what is cut by them is too.
    """
    whole = samples[:, : samples.shape[1] // frame_samples * frame_samples].astype(np.int64)
    energy = np.square(whole).reshape(len(samples), -1, frame_samples).sum(axis=(0, 2))
    sums = np.cumsum(np.concatenate(([0], energy)))
    stretches: NDArray[np.int64] = sums[num_frames:] - sums[:-num_frames]
    return stretches


def quietest(samples: Samples, begin: int, end: int, width_s: float) -> int | None:
    """Find the middle of the quietest stretch of `width_s` inside `begin`..`end`; None where it does not fit.

    Takes int16, shape (num_samples,); positions are samples.
    """
    step, width = round(STEP_S * SAMPLE_RATE_HZ), round(width_s / STEP_S)
    energies = stretch_energies(samples[None, begin:end], step, width)
    return begin + (2 * int(energies.argmin()) + width) * step // 2 if len(energies) else None
