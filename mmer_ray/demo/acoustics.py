"""What happens to speech on its way into a recording: rooms, lines, codecs and noise.

Every function takes and returns float32 samples of shape (num_samples,) at 16 kHz and keeps the length; randomness
comes from the generator that is passed in.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy import signal

from mmer_ray.records import SAMPLE_RATE_HZ

TELEPHONE_RATE_HZ = 8_000
TELEPHONE_BAND_HZ = (300, 3_400)
MU = 255.0
BABBLE_VOICES = 4
# libsndfile's scale from 0 to 1: this is about 18 kbit/s for each channel.
OPUS_COMPRESSION = 0.95

Samples = NDArray[np.float32]


def add_at_snr(samples: Samples, noise: Samples, snr_db: float) -> Samples:
    """Add noise of the same length so that the power ratio is `snr_db`."""
    ratio = np.mean(samples**2) / (np.mean(noise**2) + 1e-12)
    return np.asarray(samples + noise * np.sqrt(ratio) * 10 ** (-snr_db / 20), np.float32)


def white_noise(num_samples: int, rng: np.random.Generator) -> Samples:
    """Draw noise with a flat spectrum."""
    return rng.standard_normal(num_samples, dtype=np.float32)


def pink_noise(num_samples: int, rng: np.random.Generator) -> Samples:
    """Draw noise whose power falls by 3 dB an octave above 20 Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    frequencies_hz = np.fft.rfftfreq(num_samples, 1 / SAMPLE_RATE_HZ)
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(frequencies_hz, 20)), num_samples).astype(np.float32)


def babble(num_samples: int, rng: np.random.Generator, others: Sequence[Samples]) -> Samples:
    """Mix a few other utterances, each repeated as often as needed from a random start."""
    mixed = np.zeros(num_samples, np.float32)
    for _ in range(BABBLE_VOICES):
        voice = others[int(rng.integers(len(others)))]
        level = np.sqrt(np.mean(voice**2)) + 1e-6
        mixed += np.resize(np.roll(voice, int(rng.integers(len(voice)))), num_samples) / level
    return mixed


def telephone(samples: Samples) -> Samples:
    """Narrow to the telephone band at 8 kHz with eight-bit mu-law, and back."""
    narrow: NDArray[np.float64] = signal.resample_poly(samples.astype(np.float64), TELEPHONE_RATE_HZ, SAMPLE_RATE_HZ)
    sos = signal.butter(4, TELEPHONE_BAND_HZ, "bandpass", fs=TELEPHONE_RATE_HZ, output="sos")
    narrow = signal.sosfilt(sos, narrow)
    peak = float(np.abs(narrow).max(initial=1e-6)) / 0.9
    squeezed = np.sign(narrow) * np.log1p(MU * np.abs(narrow) / peak) / np.log1p(MU)
    coded = np.round(squeezed * 127) / 127
    decoded = np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(MU)) / MU * peak
    return _fit(signal.resample_poly(decoded, SAMPLE_RATE_HZ, TELEPHONE_RATE_HZ), len(samples))


def low_pass(samples: Samples, corner_hz: float) -> Samples:
    """Cut everything above a corner frequency."""
    sos = signal.butter(6, corner_hz, "lowpass", fs=SAMPLE_RATE_HZ, output="sos")
    return np.asarray(signal.sosfilt(sos, samples), np.float32)


def reverberate(samples: Samples, rng: np.random.Generator) -> Samples:
    """Add a room: exponentially decaying noise after the direct sound."""
    decay_s, wet = rng.uniform(0.1, 0.45), rng.uniform(0.05, 0.35)
    tail = np.arange(int(decay_s * SAMPLE_RATE_HZ))
    room = rng.standard_normal(len(tail)) * np.exp(-6.9 * tail / len(tail))
    room *= wet / np.sqrt(np.sum(room**2))
    room[0] = 1.0
    return signal.fftconvolve(samples, room)[: len(samples)].astype(np.float32)


def opus_round_trip(samples: Samples) -> Samples:
    """Encode with Opus at low quality and decode again."""
    peak = float(np.abs(samples).max(initial=1e-6))
    coded = io.BytesIO()
    soundfile.write(
        coded, samples / peak * 0.7, SAMPLE_RATE_HZ, format="OGG", subtype="OPUS", compression_level=OPUS_COMPRESSION
    )
    coded.seek(0)
    return _fit(soundfile.read(coded, dtype="float32")[0] * (peak / 0.7), len(samples))


def _fit(samples: NDArray[np.floating], num_samples: int) -> Samples:
    """Cut, or extend with zeros, to a length."""
    fitted = np.zeros(num_samples, np.float32)
    kept = samples[:num_samples]
    fitted[: len(kept)] = kept
    return fitted
