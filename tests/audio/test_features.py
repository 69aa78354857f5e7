"""Log-mel features."""

from __future__ import annotations

import numpy as np

from mmer_ray.audio.features import log_mel, mel_filters


def tone(frequency_hz: float, num_samples: int = 8_000) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * np.arange(num_samples) / 16_000).astype(np.float32)


def test_one_frame_every_ten_milliseconds() -> None:
    assert log_mel(tone(200, 16_000)).shape == (98, 64)
    assert log_mel(tone(200, 10)).shape == (1, 64)


def test_level_does_not_matter() -> None:
    assert np.allclose(log_mel(tone(500)), log_mel(tone(500) * np.float32(0.01)), atol=1e-3)


def test_a_higher_tone_lies_in_a_higher_bin() -> None:
    peaks = [int(log_mel(tone(frequency_hz)).mean(axis=0).argmax()) for frequency_hz in (150, 600, 2_400, 6_000)]
    assert peaks == sorted(set(peaks))


def test_silence_is_finite() -> None:
    assert np.array_equal(log_mel(np.zeros(1_000, np.float32)), np.zeros((4, 64), np.float32))


def test_every_filter_passes_something() -> None:
    assert (mel_filters(64).sum(axis=0) > 0).all()
