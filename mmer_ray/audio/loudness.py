"""Where it is quiet."""

from __future__ import annotations

import numpy as np

from mmer_ray.records import SAMPLE_RATE_HZ, Samples

STEP_S = 0.02


def quietest(samples: Samples, begin: int, end: int, width_s: float) -> int | None:
    """Find the middle of the quietest stretch of `width_s` inside `begin`..`end`; None where it does not fit.

    Takes int16, shape (num_samples,); positions are samples.
    """
    step, width = round(STEP_S * SAMPLE_RATE_HZ), round(width_s / STEP_S)
    frames = samples[begin:end][: (end - begin) // step * step].reshape(-1, step)
    if len(frames) < width:
        return None
    energy = np.square(frames, dtype=np.float64).sum(axis=1)
    loudness = np.convolve(energy, np.ones(width), mode="valid")
    return begin + (2 * int(loudness.argmin()) + width) * step // 2
