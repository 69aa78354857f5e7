"""Batches of like length."""

from __future__ import annotations

import numpy as np
import pytest

from mmer_ray.models.batches import length_buckets


@pytest.mark.parametrize("min_share", [0.0, 0.9])
def test_batches_hold_every_item_once_and_no_more_padded_length_than_allowed(min_share: float) -> None:
    lengths = np.random.default_rng(1).uniform(0.1, 20, 60).tolist()
    buckets = list(length_buckets(lengths, 45.0, min_share))
    assert sorted(index for bucket in buckets for index in bucket) == list(range(60))
    for bucket in buckets:
        inside = [lengths[index] for index in bucket]
        assert len(bucket) == 1 or len(bucket) * max(inside) <= 45
        assert min(inside) >= min_share * max(inside)


def test_an_item_longer_than_a_batch_goes_alone() -> None:
    assert list(length_buckets([10.0, 10.0], 5.0)) == [[0], [1]]
    assert list(length_buckets([], 5.0)) == []
