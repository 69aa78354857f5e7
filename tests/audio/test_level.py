"""Quiet speech is raised, offsets go, ordinary sound and noise stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

from mmer_ray.audio.level import LOW_DB, TARGET_DB, frame_levels_db, levelled
from mmer_ray.records import SAMPLE_RATE_HZ, Samples
from tests.bad_audio.signals import int16, noise, tone, voice

LOUD = int16(voice(6.0))


def speech_db(samples: Samples) -> float:
    return float(np.percentile(frame_levels_db(samples, 0.0), 80))


def test_speech_at_an_ordinary_level_passes_bit_by_bit() -> None:
    for gain in (1.0, 0.1, 0.05):
        samples = int16(gain * voice(6.0))
        ready = levelled(samples)
        assert np.array_equal(ready.samples, samples)
        assert not ready.was_low


@pytest.mark.parametrize("below_db", [40, 50, 60])
def test_speech_far_below_full_scale_is_raised_to_the_level_that_models_know(below_db: float) -> None:
    quiet = int16(10 ** (-below_db / 20) * voice(6.0))
    assert speech_db(quiet) < LOW_DB
    ready = levelled(quiet)
    assert ready.was_low
    assert speech_db(ready.samples) == pytest.approx(TARGET_DB, abs=6)
    assert np.corrcoef(ready.samples, LOUD)[0, 1] > 0.95


def test_noise_hum_dither_and_silence_stay_as_quiet_as_they_are() -> None:
    rng = np.random.default_rng(0)
    for quiet in (
        int16(1e-3 * noise(6.0)),
        int16(1e-3 * tone(6.0, 50.0)),
        rng.integers(-1, 2, 6 * SAMPLE_RATE_HZ).astype(np.int16),
        np.zeros(6 * SAMPLE_RATE_HZ, dtype=np.int16),
        np.zeros(0, dtype=np.int16),
    ):
        ready = levelled(quiet)
        assert np.array_equal(ready.samples, quiet)
        assert not ready.was_low


def test_noise_between_holes_is_no_speech_with_pauses() -> None:
    quiet = int16(1e-3 * noise(6.0))
    quiet[SAMPLE_RATE_HZ : 4 * SAMPLE_RATE_HZ] = 0
    assert not levelled(quiet).was_low


def test_an_offset_is_taken_out_and_the_rest_stays() -> None:
    samples = int16(0.4 * voice(6.0) + 0.5)
    ready = levelled(samples)
    assert abs(float(ready.samples.mean())) < 1
    assert np.abs(ready.samples - int16(0.4 * voice(6.0)).astype(np.int32)).max() <= 4
    assert not ready.was_low


def test_quiet_speech_on_an_offset_is_raised_without_it() -> None:
    ready = levelled(int16(2e-3 * voice(6.0) + 0.3))
    assert ready.was_low
    assert abs(float(ready.samples.mean())) < 50
    assert np.corrcoef(ready.samples, LOUD)[0, 1] > 0.95
