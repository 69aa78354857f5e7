"""Covered stretches: the tone, the margins, and what is left alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mmer_ray.audio.cover import MARGIN_MS, TONE_AMPLITUDE, TONE_HZ, Cover, covered, sample_ranges
from mmer_ray.records import SAMPLE_RATE_HZ, SAMPLES_PER_MS, Samples

RANGES = sample_ranges([(1.0, 1.5), (3.0, 3.1)])


def noise(seconds: float = 4.0, num_channels: int = 2) -> Samples:
    shape = (num_channels, round(seconds * SAMPLE_RATE_HZ))
    return np.random.default_rng(7).integers(-30_000, 30_000, shape, dtype=np.int16)


@pytest.mark.parametrize("cover", Cover)
def test_samples_differ_inside_the_stretches_and_their_margins_alone(cover: Cover) -> None:
    before = noise()
    after = covered(before, 0, RANGES, cover)

    inside = np.zeros(before.shape[1], dtype=bool)
    for start_ms, end_ms in ((1_000, 1_500), (3_000, 3_100)):
        inside[(start_ms - MARGIN_MS) * SAMPLES_PER_MS : (end_ms + MARGIN_MS) * SAMPLES_PER_MS] = True
    np.testing.assert_array_equal(after[:, ~inside], before[:, ~inside])
    # What is inside says nothing of what was there: it is the same whatever it covers, on both channels.
    np.testing.assert_array_equal(after[:, inside], covered(np.zeros_like(before), 0, RANGES, cover)[:, inside])
    np.testing.assert_array_equal(after[0, inside], after[1, inside])


def test_the_tone_has_its_frequency_and_its_level() -> None:
    second = covered(np.zeros((1, SAMPLE_RATE_HZ), dtype=np.int16), 0, [(0, SAMPLE_RATE_HZ)], Cover.TONE)[0]

    assert int(np.abs(np.fft.rfft(second)).argmax()) == TONE_HZ
    assert int(second.max()) == TONE_AMPLITUDE


@pytest.mark.parametrize("cover", Cover)
def test_blocks_of_any_size_give_the_same_samples(cover: Cover) -> None:
    whole = noise()
    cuts = [0, 1, 12_799, 12_801, 20_000, 47_000, whole.shape[1]]

    pieces = [covered(whole[:, begin:end], begin, RANGES, cover) for begin, end in pairwise(cuts)]

    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), covered(whole, 0, RANGES, cover))


def test_a_block_is_not_changed_in_place() -> None:
    block = noise(0.5)
    before = block.copy()

    covered(block, SAMPLE_RATE_HZ, RANGES, Cover.TONE)

    np.testing.assert_array_equal(block, before)
