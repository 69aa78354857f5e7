"""Random changes to speech, so that a model hears more than its recordings: other chains (`augment`), other voices and
other moments (`vary`). All work on samples, so that they serve every family.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft

from mmer_ray.demo.acoustics import (
    Samples,
    add_at_snr,
    babble,
    low_pass,
    opus_round_trip,
    pink_noise,
    reverberate,
    telephone,
    white_noise,
)
from mmer_ray.records import SAMPLE_RATE_HZ
from mmer_ray.training.ranges import FROM_ZERO, SHARE, SHARE_BELOW_ONE, Range, check_pair, check_ranges


@dataclass(frozen=True)
class Conditions:
    """How often each thing happens."""

    reverberation: float = 0.2
    noise: float = 0.5
    telephone: float = 0.25
    opus: float = 0.15
    low_pass: float = 0.1
    hiss: float = 0.8
    """A recording's own noise floor, far below speech."""
    snr_range_db: tuple[float, float] = (5.0, 30.0)
    hiss_range_db: tuple[float, float] = (35.0, 65.0)


CLEAN = Conditions(reverberation=0, noise=0, telephone=0, opus=0, low_pass=0)


def augment(
    samples: Samples, rng: np.random.Generator, conditions: Conditions, others: Sequence[Samples] = ()
) -> Samples:
    """Pass speech through a random recording chain; `others` are utterances that babble is made of."""
    if rng.random() < conditions.reverberation:
        samples = reverberate(samples, rng)
    if rng.random() < conditions.noise:
        snr_db = rng.uniform(*conditions.snr_range_db)
        samples = add_at_snr(samples, _any_noise(len(samples), rng, others), snr_db)
    if rng.random() < conditions.hiss:
        samples = add_at_snr(samples, white_noise(len(samples), rng), rng.uniform(*conditions.hiss_range_db))
    if rng.random() < conditions.low_pass:
        samples = low_pass(samples, rng.uniform(3_000, 7_000))
    if rng.random() < conditions.telephone:
        samples = telephone(samples)
    if rng.random() < conditions.opus:
        samples = opus_round_trip(samples)
    return samples


def _any_noise(num_samples: int, rng: np.random.Generator, others: Sequence[Samples]) -> Samples:
    kind = rng.integers(3 if others else 2)
    if kind == 0:
        return white_noise(num_samples, rng)
    return pink_noise(num_samples, rng) if kind == 1 else babble(num_samples, rng, others)


VARIATION_RANGES = {
    "speed": SHARE_BELOW_ONE,
    "tilt_db": FROM_ZERO,
    "gain_db": FROM_ZERO,
    "noise_share": SHARE,
    "num_masks": FROM_ZERO,
    "longest_mask_s": FROM_ZERO,
}
"""Key of a variation -> its values."""


@dataclass(frozen=True)
class Variation:
    """How far a training clip may stray from its recording. The defaults change nothing.

    Raises `UsageError` for a value outside its range.
    """

    crop_s: tuple[float, float] | None = None
    """Keep a stretch of a length drawn from this range; None keeps all. Shorter clips stay whole."""
    speed: float = 0.0
    """Play faster or slower by at most this share: pitch, formants and tempo move together, as between voices."""
    tilt_db: float = 0.0
    """Standard deviation of the gain of each of `NUM_TILT_BANDS` bands, with smooth passages between them."""
    gain_db: float = 0.0
    """Louder or softer by at most so much."""
    noise_share: float = 0.0
    """How many clips get noise, white or pink."""
    snr_range_db: tuple[float, float] = (10.0, 40.0)
    num_masks: int = 0
    """Stretches that are silenced."""
    longest_mask_s: float = 0.15

    def __post_init__(self) -> None:
        where = "recipe.variation"
        check_ranges(self, where, VARIATION_RANGES)
        check_pair(self, where, "crop_s", Range(0, has_low=False))
        check_pair(self, where, "snr_range_db", Range(-math.inf, has_low=False))


UNCHANGED = Variation()
NUM_TILT_BANDS = 6
LOWEST_TILT_HZ = 100.0


def vary(samples: Samples, rng: np.random.Generator, variation: Variation) -> Samples:
    """Return a random variation of speech: float32, shape (num_samples,), 16 kHz; the length may change."""
    if variation.crop_s is not None:
        samples = crop(samples, rng, variation.crop_s)
    if variation.speed or variation.tilt_db:
        samples = respeak(samples, rng, variation.speed, variation.tilt_db)
    if rng.random() < variation.noise_share:
        noise = (white_noise, pink_noise)[rng.integers(2)](len(samples), rng)
        samples = add_at_snr(samples, noise, rng.uniform(*variation.snr_range_db))
    samples = samples * np.float32(10 ** (rng.uniform(-1, 1) * variation.gain_db / 20))
    for _ in range(variation.num_masks):
        width = int(rng.uniform(0, variation.longest_mask_s) * SAMPLE_RATE_HZ)
        start = int(rng.integers(max(1, len(samples) - width)))
        samples[start : start + width] = 0
    return samples


def crop(samples: Samples, rng: np.random.Generator, length_range_s: tuple[float, float]) -> Samples:
    """Keep a random stretch of a random length, in seconds; shorter speech stays whole."""
    length = min(len(samples), round(rng.uniform(*length_range_s) * SAMPLE_RATE_HZ))
    start = int(rng.integers(len(samples) - length + 1))
    return samples[start : start + length]


def respeak(samples: Samples, rng: np.random.Generator, speed: float, tilt_db: float) -> Samples:
    """Change speed and spectral balance at once: one Fourier transform there, one of another length back."""
    factor = 1 + rng.uniform(-speed, speed)
    num_in = fft.next_fast_len(len(samples), real=True)
    num_out = fft.next_fast_len(round(num_in / factor), real=True)
    spectrum = fft.rfft(samples, num_in)[: num_out // 2 + 1]
    octaves = np.log2(np.arange(1, len(spectrum) + 1) * (SAMPLE_RATE_HZ / num_in / LOWEST_TILT_HZ))
    bands = np.linspace(0, np.log2(SAMPLE_RATE_HZ / 2 / LOWEST_TILT_HZ), NUM_TILT_BANDS)
    gains_db = np.interp(octaves, bands, rng.normal(0, tilt_db, NUM_TILT_BANDS))
    spectrum *= 10 ** (gains_db / 20) * (num_out / num_in)
    respoken = fft.irfft(spectrum, num_out)[: round(len(samples) * num_out / num_in)]
    return np.asarray(respoken, np.float32)
