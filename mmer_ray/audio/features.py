"""Log-mel features: what the speaker model hears."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from mmer_ray.records import SAMPLE_RATE_HZ

WINDOW_SAMPLES = 400
"""25 ms."""
HOP_SAMPLES = 160
"""10 ms."""
FFT_SIZE = 512
LOWEST_HZ, HIGHEST_HZ = 60.0, 7_600.0
# Natural logarithms of power below the loudest bin that still count; digital silence would be minus infinity.
DYNAMIC_RANGE = 18.0
POWER_FLOOR = 1e-12


def log_mel(samples: NDArray[np.float32], num_mels: int = 64) -> NDArray[np.float32]:
    """Describe speech by log-mel energies, centred on zero, so that its level does not matter.

    Takes float32, shape (num_samples,), 16 kHz. Returns float32, shape (num_frames, num_mels), one frame every 10 ms:
    1 + (num_samples - 400) // 160 of them; shorter input is extended with zeros to one frame.
    """
    if len(samples) < WINDOW_SAMPLES:
        samples = np.pad(samples, (0, WINDOW_SAMPLES - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_SAMPLES)[::HOP_SAMPLES]
    spectrum = np.fft.rfft(frames * np.hanning(WINDOW_SAMPLES).astype(np.float32), FFT_SIZE)
    power = spectrum.real**2 + spectrum.imag**2
    energies = np.log(power @ mel_filters(num_mels) + POWER_FLOOR)
    energies = np.maximum(energies, energies.max() - DYNAMIC_RANGE)
    return np.asarray(energies - energies.mean(), np.float32)


@cache
def mel_filters(num_mels: int, lowest_hz: float = LOWEST_HZ, highest_hz: float = HIGHEST_HZ) -> NDArray[np.float64]:
    """Return triangular filters, evenly spaced in mel: float64, shape (FFT_SIZE // 2 + 1, num_mels)."""
    edges_hz = mel_to_hz(np.linspace(hz_to_mel(lowest_hz), hz_to_mel(highest_hz), num_mels + 2))
    bins_hz = np.fft.rfftfreq(FFT_SIZE, 1 / SAMPLE_RATE_HZ)[:, None]
    lower, centre, upper = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising = (bins_hz - lower) / (centre - lower)
    falling = (upper - bins_hz) / (upper - centre)
    return np.maximum(0.0, np.minimum(rising, falling))


def hz_to_mel(frequency_hz: float) -> float:
    """The mel of a frequency (O'Shaughnessy 1987)."""
    return float(2_595 * np.log10(1 + frequency_hz / 700))


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """The frequencies of mels."""
    return np.asarray(700 * (10 ** (mel / 2_595) - 1), np.float64)
