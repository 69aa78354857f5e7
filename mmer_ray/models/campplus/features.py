"""The features that CAM++ hears: log energies of mel filters as Kaldi computes them.

The steps are those of Kaldi's `compute-fbank-feats` without dither: whole windows only, the mean of each window taken
out, pre-emphasis, the Povey window, power spectrum, triangular filters in mel, logarithm.

Shape letters: F frames, W samples of a window, M mel bands, Q FFT bins.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mmer_ray.audio.features import FFT_SIZE, HOP_SAMPLES, WINDOW_SAMPLES
from mmer_ray.records import SAMPLE_RATE_HZ

PRE_EMPHASIS = 0.97
WINDOW_POWER = 0.85
"""The Povey window is a Hann window to this power."""
LOWEST_HZ = 20.0
ENERGY_FLOOR = float(torch.finfo(torch.float32).eps)
FRAMES_PER_RUN = 6_000
"""A minute: the spectra of a whole window of ten would take 250 MB."""


def filterbank(samples: NDArray[np.float32], num_mels: int) -> NDArray[np.float32]:
    """Describe sound by log mel energies, one frame every 10 ms; the mean is not taken out yet.

    Takes float32 in -1..1, shape (num_samples,), 16 kHz. Returns float32, shape (F, M), with F = 1 + (num_samples -
    400) // 160; shorter sound than a window has no frame.
    """
    num_frames = max(0, 1 + (len(samples) - WINDOW_SAMPLES) // HOP_SAMPLES)
    energies = np.empty((num_frames, num_mels), np.float32)
    for first in range(0, num_frames, FRAMES_PER_RUN):
        last = min(first + FRAMES_PER_RUN, num_frames)
        part = torch.from_numpy(samples[first * HOP_SAMPLES : (last - 1) * HOP_SAMPLES + WINDOW_SAMPLES])
        energies[first:last] = _energies(part.unfold(0, WINDOW_SAMPLES, HOP_SAMPLES), num_mels).numpy()
    return energies


def _energies(frames_FW: Tensor, num_mels: int) -> Tensor:
    frames_FW = frames_FW - frames_FW.mean(dim=1, keepdim=True)
    before_FW = functional.pad(frames_FW[None], (1, 0), mode="replicate")[0, :, :-1]
    frames_FW = (frames_FW - PRE_EMPHASIS * before_FW) * _window()
    power_FQ = torch.fft.rfft(frames_FW, FFT_SIZE).abs().square()
    energies_FM: Tensor = (power_FQ @ _filters(num_mels)).clamp(min=ENERGY_FLOOR).log()
    return energies_FM


@cache
def _window() -> Tensor:
    return torch.hann_window(WINDOW_SAMPLES, periodic=False).pow(WINDOW_POWER)


@cache
def _filters(num_mels: int) -> Tensor:
    """Triangles evenly spaced in mel, whose sides are straight in mel: float32, shape (Q, M)."""
    edges = np.linspace(_to_mel(LOWEST_HZ), _to_mel(SAMPLE_RATE_HZ / 2), num_mels + 2)
    bins = _to_mel(np.fft.rfftfreq(FFT_SIZE, 1 / SAMPLE_RATE_HZ))[:, None]
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre))
    filters_QM = np.maximum(0.0, triangles)
    # The highest bin is left out there.
    filters_QM[-1] = 0.0
    return torch.from_numpy(filters_QM.astype(np.float32))


def _to_mel(frequency_hz: float | NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(1_127.0 * np.log1p(np.asarray(frequency_hz) / 700.0))
