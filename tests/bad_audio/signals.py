"""Sounds that the cases are made of; everything is computed, nothing is random between runs."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

Signal = npt.NDArray[np.float64]


@cache
def voice(duration_s: float = 3.0, rate_hz: int = 16_000, pitch_hz: float = 125.0) -> Signal:
    """A drone with the harmonics, formants and syllables of a vowel-only speaker; peak 0.5, shape (num_samples,).

    Read-only.
    """
    time_s = np.arange(int(duration_s * rate_hz)) / rate_hz
    phase = 2 * np.pi * pitch_hz * (time_s + 0.02 * np.sin(2 * np.pi * 1.3 * time_s))
    sound = np.zeros_like(time_s)
    for harmonic in range(1, int(min(3600.0, 0.45 * rate_hz) / pitch_hz) + 1):
        frequency_hz = harmonic * pitch_hz
        formants = sum(np.exp(-(((frequency_hz - peak_hz) / 180.0) ** 2)) for peak_hz in (650.0, 1200.0, 2500.0))
        sound += (0.08 + formants) / harmonic**0.5 * np.sin(harmonic * phase)
    syllables = 0.05 + np.clip(np.sin(2 * np.pi * 3.7 * time_s), 0, None) ** 0.7
    noise = np.random.default_rng(1).normal(0, 0.002, len(time_s))
    speech = 0.5 * _normalised(sound * syllables + noise)
    speech.flags.writeable = False
    return speech


def noise(duration_s: float, rate_hz: int = 16_000) -> Signal:
    return 0.2 * _normalised(np.random.default_rng(2).normal(0, 1, int(duration_s * rate_hz)))


def tone(duration_s: float, frequency_hz: float = 1000.0, rate_hz: int = 16_000) -> Signal:
    return 0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(int(duration_s * rate_hz)) / rate_hz)


def int16(sound: Signal) -> npt.NDArray[np.int16]:
    """Rounded, clipped, little-endian."""
    return np.clip(np.round(sound * 32767), -32768, 32767).astype("<i2")


def _normalised(sound: Signal) -> Signal:
    peak = float(np.abs(sound).max())
    return sound / peak
