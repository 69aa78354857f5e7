"""Where it is quiet."""

from __future__ import annotations

import numpy as np
import pytest

from mmer_ray.audio.loudness import quietest
from mmer_ray.records import SAMPLE_RATE_HZ, Samples


@pytest.fixture
def two_pauses() -> Samples:
    """Noise with pauses at 2.0..2.3 s and, quieter, at 6.0..6.1 s."""
    samples = np.random.default_rng(0).normal(0, 1_000, 8 * SAMPLE_RATE_HZ)
    samples[2 * SAMPLE_RATE_HZ : round(2.3 * SAMPLE_RATE_HZ)] *= 0.1
    samples[6 * SAMPLE_RATE_HZ : round(6.1 * SAMPLE_RATE_HZ)] = 0
    return samples.astype(np.int16)


def test_the_quietest_stretch_depends_on_how_long_it_must_be(two_pauses: Samples) -> None:
    def middle_s(width_s: float) -> float:
        found = quietest(two_pauses, 0, len(two_pauses), width_s)
        assert found is not None
        return found / SAMPLE_RATE_HZ

    assert middle_s(0.1) == pytest.approx(6.05, abs=0.03)
    assert middle_s(0.3) == pytest.approx(2.15, abs=0.03)


def test_only_the_given_part_is_searched(two_pauses: Samples) -> None:
    found = quietest(two_pauses, 4 * SAMPLE_RATE_HZ, 5 * SAMPLE_RATE_HZ, 0.1)
    assert found is not None
    assert 4 <= found / SAMPLE_RATE_HZ <= 5


def test_a_part_shorter_than_the_stretch_has_none(two_pauses: Samples) -> None:
    assert quietest(two_pauses, 0, 1_000, 0.1) is None
    assert quietest(two_pauses, 500, 500, 0.1) is None
    assert quietest(two_pauses, 500, 400, 0.1) is None
