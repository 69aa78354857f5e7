"""Levels of a window's channels every 20 ms, in the band of the voice, and how alike the channels' waveforms are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmer_ray.records import SAMPLE_RATE_HZ, Samples

FRAME_SAMPLES = 320
"""20 ms."""
FRAMES_PER_S = SAMPLE_RATE_HZ // FRAME_SAMPLES
DECIMATION = 4
"""To 4 kHz: means of four samples, then differences of neighbours, pass about 300 to 1,800 Hz. Vowels lie there; hum,
offsets and what narrow lines cut off do not."""
CHUNK_FRAMES = 500
FLOOR_POWER = 0.01
"""Below the rounding of int16 in this band: digital silence gets -20 dB and not minus infinity."""
STRETCH_SAMPLES = 4096
"""About a second, at 4 kHz."""
MAX_STRETCHES = 40
"""Of a window, the loudest: enough to tell a copy from chance, at a bounded cost."""
MAX_LAG_S = 0.1


class Envelope:
    """What is kept of one window of two channels."""

    def __init__(self, samples: Samples) -> None:
        """Take int16, shape (num_channels, num_samples). The last part of a frame is left out."""
        self._narrow = _narrowed(samples)
        """float32, shape (num_channels, num_samples / 4)."""
        frames = self._narrow.reshape(len(samples), -1, FRAME_SAMPLES // DECIMATION)
        power = np.einsum("cft,cft->cf", frames, frames) / frames.shape[2]
        self.levels_db: NDArray[np.float32] = 10 * np.log10(power + np.float32(FLOOR_POWER))
        """float32, shape (num_channels, num_frames), above one int16 step."""

    def correlation(self) -> float:
        """The largest normalised cross-correlation of the two channels over lags up to `MAX_LAG_S`, with its sign.

        Averaged over the stretches in which the weaker channel is loudest: a copy adds up at its lag, unrelated voices
        do not. 0 where nothing is heard.
        """
        size = min(STRETCH_SAMPLES, self._narrow.shape[1])
        num_stretches = self._narrow.shape[1] // size if size else 0
        if not num_stretches:
            return 0.0
        stretches = self._narrow[:, : num_stretches * size].reshape(2, num_stretches, size)
        energies = np.einsum("cst,cst->cs", stretches, stretches, dtype=np.float64)
        loudness = (energies / np.maximum(energies.max(axis=1, keepdims=True), 1e-9)).min(axis=0)
        chosen = np.argsort(-loudness, kind="stable")[:MAX_STRETCHES]
        chosen = chosen[energies[:, chosen].min(axis=0) > FLOOR_POWER * size]
        if not len(chosen):
            return 0.0
        max_lag = min(round(MAX_LAG_S * SAMPLE_RATE_HZ / DECIMATION), size - 1)
        total = np.zeros(2 * max_lag + 1)
        for index in chosen:
            spectra = np.fft.rfft(stretches[:, index], 2 * size)
            lags = np.fft.irfft(spectra[0] * spectra[1].conj())
            around_zero = np.concatenate([lags[-max_lag:], lags[: max_lag + 1]])
            total += around_zero / np.sqrt(energies[0, index] * energies[1, index])
        return float(total[np.abs(total).argmax()] / len(chosen))


def loudest_over(values: NDArray[np.float32], before: int, after: int) -> NDArray[np.float32]:
    """The largest value from `before` frames earlier to `after` frames later: shape (num_frames,), in and out."""
    padded = np.pad(values, (before, after), mode="edge")
    width = before + after + 1
    largest: NDArray[np.float32] = np.lib.stride_tricks.sliding_window_view(padded, width).max(axis=1)
    return largest


def _narrowed(samples: Samples) -> NDArray[np.float32]:
    num_frames = samples.shape[1] // FRAME_SAMPLES
    narrow = np.empty((len(samples), num_frames * FRAME_SAMPLES // DECIMATION), dtype=np.float32)
    for first in range(0, num_frames, CHUNK_FRAMES):
        begin, end = first * FRAME_SAMPLES, min(first + CHUNK_FRAMES, num_frames) * FRAME_SAMPLES
        means = samples[:, begin:end].reshape(len(samples), -1, DECIMATION).sum(axis=2, dtype=np.int32)
        target = narrow[:, begin // DECIMATION : end // DECIMATION]
        target[:, 1:] = np.diff(means, axis=1)
        target[:, 0] = target[:, 1]
    narrow /= DECIMATION
    return narrow
