"""Sets of seconds."""

from __future__ import annotations

import numpy as np
import pytest

from mmer_ray.stages.intervals import Interval, gaps, intersection, seconds, union


def random_intervals(seed: int) -> list[Interval]:
    """Whole seconds below 60, so that a mask of seconds is exact."""
    starts = np.random.default_rng(seed).integers(0, 55, 12).tolist()
    lengths = np.random.default_rng(seed + 100).integers(0, 6, 12).tolist()
    return [(float(start), float(start + length)) for start, length in zip(starts, lengths, strict=True)]


def mask(intervals: list[Interval]) -> np.ndarray:
    covered = np.zeros(64, dtype=bool)
    for start_s, end_s in intervals:
        covered[int(start_s) : int(end_s)] = True
    return covered


@pytest.mark.parametrize("seed", range(20))
def test_set_operations_agree_with_a_mask_of_seconds(seed: int) -> None:
    left, right = union(random_intervals(seed)), union(random_intervals(seed + 1_000))
    assert np.array_equal(mask(left), mask(random_intervals(seed)))
    assert np.array_equal(mask(intersection(left, right)), mask(left) & mask(right))
    assert np.array_equal(mask(gaps(left, right)), mask(left) & ~mask(right))
    assert seconds(left) == mask(left).sum()
    assert seconds(gaps(left, right)) + seconds(intersection(left, right)) == seconds(left)


def test_union_joins_what_touches_and_drops_what_is_empty() -> None:
    assert union([(2.0, 3.0), (0.0, 1.0), (1.0, 1.5), (5.0, 5.0)]) == [(0.0, 1.5), (2.0, 3.0)]
