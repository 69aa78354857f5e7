"""Speech from text: espeak-ng as a subprocess, then the speaker's vocal tract, brightness and level."""

from __future__ import annotations

import io
import subprocess
from xml.sax.saxutils import escape

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy import signal

from mmer_ray.demo.voices import Delivery, Speaker
from mmer_ray.records import SAMPLE_RATE_HZ

TIMEOUT_S = 30.0
TILT_CORNER_HZ = 1_500
# Quieter than this, relative to the peak, is espeak-ng's own padding.
SILENCE_FRACTION = 0.01
MARGIN_S = 0.03


def speak(spoken: str, speaker: Speaker, delivery: Delivery) -> NDArray[np.float32]:
    """Speak a sentence: float32, shape (num_samples,), 16 kHz, within [-1, 1], without silence at its ends."""
    samples, rate_hz = _run_espeak(spoken, speaker, delivery)
    apparent_rate_hz = round(rate_hz * speaker.tract)
    divisor = np.gcd(apparent_rate_hz, SAMPLE_RATE_HZ)
    samples = signal.resample_poly(samples, SAMPLE_RATE_HZ // divisor, apparent_rate_hz // divisor)
    samples = _trim(_tilt(samples, delivery.tilt_db))
    rms = float(np.sqrt(np.mean(samples**2))) + 1e-9
    samples = samples * (10 ** (delivery.level_dbfs / 20) / rms)
    return np.clip(samples, -1, 1).astype(np.float32)


def _run_espeak(spoken: str, speaker: Speaker, delivery: Delivery) -> tuple[NDArray[np.float64], int]:
    prosody = f'<prosody range="{delivery.pitch_range_percent}%">{escape(spoken)}</prosody>'
    # A longer tract would also slow the voice down: ask for the rate that resampling turns into the wanted one.
    rate_wpm = max(80, round(delivery.rate_wpm / speaker.tract))
    voice = f"{speaker.accent}+{speaker.variant}"
    command = ["espeak-ng", "-m", "--stdout", "-v", voice, "-p", str(delivery.pitch), "-s", str(rate_wpm), prosody]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=True)
    # espeak-ng cannot seek in a pipe, so its header claims the largest size.
    samples = np.frombuffer(done.stdout[44:], dtype="<i2").astype(np.float64) / 32_768
    return samples, soundfile.info(io.BytesIO(done.stdout)).samplerate


def _tilt(samples: NDArray[np.float64], tilt_db: float) -> NDArray[np.float64]:
    """Raise or lower what lies above the corner frequency."""
    sos = signal.butter(1, TILT_CORNER_HZ, "highpass", fs=SAMPLE_RATE_HZ, output="sos")
    bright: NDArray[np.float64] = signal.sosfilt(sos, samples)
    return samples + (10 ** (tilt_db / 20) - 1) * bright


def _trim(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cut silence at both ends, but for a margin."""
    loud = np.flatnonzero(np.abs(samples) > SILENCE_FRACTION * np.abs(samples).max(initial=1e-6))
    if not len(loud):
        return samples
    margin = round(MARGIN_S * SAMPLE_RATE_HZ)
    return samples[max(0, loud[0] - margin) : loud[-1] + margin]
