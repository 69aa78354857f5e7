"""Random recording chains, so that the embedded models hear more than a studio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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
