"""Random variations of clips: each does what it says, and nothing where it is switched off."""

from __future__ import annotations

import numpy as np
import pytest

from mmer_ray.training.augment import UNCHANGED, Variation, crop, respeak, vary

RATE_HZ = 16_000


def tone(frequency_hz: float = 1_000.0, duration_s: float = 1.0) -> np.ndarray:
    times_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    return np.sin(2 * np.pi * frequency_hz * times_s).astype(np.float32)


def pitch_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 18))
    return float(np.argmax(spectrum) * RATE_HZ / (1 << 18))


def test_nothing_changes_where_nothing_is_asked_for() -> None:
    assert np.array_equal(vary(tone(), np.random.default_rng(0), UNCHANGED), tone())


def test_a_seed_gives_the_same_variation_the_clip_itself_stays_and_samples_stay_float32() -> None:
    everything = Variation((0.3, 0.8), speed=0.2, tilt_db=4.0, gain_db=6.0, noise_share=1.0, num_masks=2)
    original = tone()
    first, second, third = (vary(original, np.random.default_rng(seed), everything) for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert first.shape != third.shape or not np.array_equal(first, third)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert np.array_equal(original, tone())


def test_a_crop_is_a_stretch_of_the_clip_and_shorter_clips_stay_whole() -> None:
    ramp = np.arange(RATE_HZ, dtype=np.float32)
    rng = np.random.default_rng(0)
    for kept in (crop(ramp, rng, (0.25, 0.5)) for _ in range(50)):
        assert 0.25 * RATE_HZ <= len(kept) <= 0.5 * RATE_HZ
        assert np.array_equal(np.diff(kept), np.ones(len(kept) - 1))
    assert len(crop(ramp, rng, (2.0, 3.0))) == RATE_HZ


@pytest.mark.parametrize("seed", range(5))
def test_speed_moves_pitch_and_duration_together_and_keeps_the_level(seed: int) -> None:
    changed = respeak(tone(), np.random.default_rng(seed), speed=0.3, tilt_db=0.0)
    factor = RATE_HZ / len(changed)
    assert 0.69 < factor < 1.31
    assert pitch_hz(changed) == pytest.approx(1_000 * factor, rel=2e-3)
    assert changed[500:-500].std() == pytest.approx(tone().std(), rel=0.02)


def test_tilt_changes_the_balance_of_frequencies_and_no_pitch() -> None:
    mixture = tone(300) + tone(3_000)
    changed = [respeak(mixture, np.random.default_rng(seed), 0.0, 6.0) for seed in range(10)]
    ratios_db = []
    for samples in changed:
        spectrum = np.abs(np.fft.rfft(samples[:RATE_HZ]))
        assert set(np.argsort(spectrum)[-2:]) == {300, 3_000}
        ratios_db.append(20 * np.log10(spectrum[300] / spectrum[3_000]))
    assert np.std(ratios_db) > 2


def test_masks_silence_stretches_no_longer_than_asked_for() -> None:
    masked = vary(np.ones(RATE_HZ, np.float32), np.random.default_rng(3), Variation(num_masks=1, longest_mask_s=0.1))
    silent = np.flatnonzero(masked == 0)
    assert 0 < len(silent) <= 0.1 * RATE_HZ
    assert silent[-1] - silent[0] + 1 == len(silent)


@pytest.mark.parametrize("num_samples", [1, 50, 1_601])
def test_the_shortest_clips_can_be_varied(num_samples: int) -> None:
    everything = Variation((0.01, 0.02), speed=0.2, tilt_db=4.0, gain_db=6.0, noise_share=1.0, num_masks=2)
    varied = vary(np.ones(num_samples, np.float32), np.random.default_rng(0), everything)
    assert len(varied) > 0
    assert np.isfinite(varied).all()
