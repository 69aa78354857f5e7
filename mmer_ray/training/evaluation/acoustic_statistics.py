"""An utterance as a few hundred numbers: what a support vector machine needs to guess emotions from sound.

Shape letters: T frames, F features of a frame.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from mmer_ray.audio.features import HOP_SAMPLES, WINDOW_SAMPLES, log_mel
from mmer_ray.records import SAMPLE_RATE_HZ

NUM_CEPSTRA = 13
LOWEST_HZ, HIGHEST_HZ = 60.0, 500.0
"""Of pitch."""
_PERCENTILES = (5, 25, 50, 75, 95)
_PITCH_SAMPLES = 1024
"""64 ms: three periods of the lowest pitch."""
_FLOOR = 1e-10


def statistics_of(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean, deviation and percentiles of cepstra, level, pitch and periodicity and of their changes, and the length.

    Takes float32, shape (num_samples,), 16 kHz; returns float64, shape (7 * 2 * (`NUM_CEPSTRA` + 3) + 1,).
    """
    padded = np.pad(samples, (0, max(0, _PITCH_SAMPLES - len(samples)))).astype(np.float64)
    cepstra_TC = dct(log_mel(padded.astype(np.float32)).astype(np.float64), norm="ortho")[:, :NUM_CEPSTRA]
    num_frames = len(cepstra_TC)
    level_T = _level(padded, num_frames)
    pitch_T, periodicity_T = _pitch(padded, num_frames)
    frames_TF = np.column_stack([cepstra_TC, level_T, pitch_T, periodicity_T])
    changes_TF = np.gradient(frames_TF, axis=0) if num_frames > 1 else np.zeros_like(frames_TF)
    summed = [_summed(one) for one in (frames_TF, changes_TF)]
    return np.concatenate([*summed, [np.log(len(samples) / SAMPLE_RATE_HZ + _FLOOR)]])


def _summed(frames_TF: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([frames_TF.mean(axis=0), frames_TF.std(axis=0), *np.percentile(frames_TF, _PERCENTILES, 0)])


def _level(samples: NDArray[np.float64], num_frames: int) -> NDArray[np.float64]:
    """Of each frame, in decibels over the loudest: recording levels say nothing of a feeling."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_SAMPLES)[::HOP_SAMPLES][:num_frames]
    level_T = 10 * np.log10(np.square(frames).mean(axis=1) + _FLOOR)
    return np.asarray(level_T - level_T.max())


def _pitch(samples: NDArray[np.float64], num_frames: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pitch in semitones over `LOWEST_HZ`, and how periodic each frame is, 0..1: the highest peak of the
    autocorrelation, corrected for the window (Boersma, "Accurate Short-Term Analysis of the Fundamental Frequency",
    1993, equation 9)."""
    samples = np.pad(samples, (0, max(0, (num_frames - 1) * HOP_SAMPLES + _PITCH_SAMPLES - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, _PITCH_SAMPLES)[::HOP_SAMPLES][:num_frames]
    window = np.hanning(_PITCH_SAMPLES)
    centred = (frames - frames.mean(axis=1, keepdims=True)) * window
    likeness = _autocorrelation(centred) / _autocorrelation(window[None])
    shortest, longest = int(SAMPLE_RATE_HZ / HIGHEST_HZ), int(SAMPLE_RATE_HZ / LOWEST_HZ)
    lags = likeness[:, shortest : longest + 1]
    best = lags.argmax(axis=1)
    semitones = 12 * np.log2(SAMPLE_RATE_HZ / (best + shortest) / LOWEST_HZ)
    return semitones, np.clip(np.take_along_axis(lags, best[:, None], 1)[:, 0], 0, 1)


def _autocorrelation(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each frame, 1 at lag 0."""
    spectrum = np.fft.rfft(frames, 2 * frames.shape[1])
    found = np.fft.irfft(np.square(np.abs(spectrum)))[:, : frames.shape[1]]
    return np.asarray(found / np.maximum(found[:, :1], _FLOOR))
