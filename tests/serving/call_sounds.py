"""Sounds for tests of the endpoint: the demo's calls, as samples and as WAV files."""

from __future__ import annotations

import io
import wave
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np

from mmer_ray.audio.decode import Decoder
from mmer_ray.profiles import DecodeOptions
from mmer_ray.records import SAMPLE_RATE_HZ, AudioFacts, Recording, Samples

CALLS = Path(str(resources.files("mmer_ray"))) / "demo" / "calls"


@cache
def _whole_call(name: str) -> Samples:
    path = CALLS / f"{name}.opus"
    recording = Recording(uri=str(path), size_bytes=path.stat().st_size)
    with Decoder(DecodeOptions()) as decoder:
        blocks = [part for part in decoder.sound(recording) if not isinstance(part, AudioFacts)]
    return np.ascontiguousarray(np.concatenate(blocks, axis=1).T)


def demo_call(name: str = "call_01_stereo", *, num_s: float = 20.0) -> Samples:
    """The beginning of a call of the demo: int16 at 16 kHz, shape (num_samples, num_channels)."""
    return _whole_call(name)[: round(num_s * SAMPLE_RATE_HZ)]


def wav(samples: Samples, rate_hz: int = SAMPLE_RATE_HZ) -> bytes:
    """A WAV file of int16 samples, shape (num_samples, num_channels)."""
    sink = io.BytesIO()
    with wave.open(sink, "wb") as writer:
        writer.setparams((samples.shape[1], 2, rate_hz, 0, "NONE", ""))
        writer.writeframes(np.ascontiguousarray(samples).tobytes())
    return sink.getvalue()
