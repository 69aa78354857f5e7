"""Which utterances a step draws."""

from __future__ import annotations

from collections import Counter

import numpy as np

from mmer_ray.training.sampler import Sampler

CLASSES = [0] * 9 + [1] * 3
LENGTHS_S = [1.0 + number / 10 for number in range(12)]


def sampler(sampling: str = "balanced", seed: int = 0, batch_size: int = 3) -> Sampler:
    return Sampler(CLASSES, LENGTHS_S, batch_size, sampling, seed)  # type: ignore[arg-type]


def test_a_step_draws_the_same_whatever_was_drawn_before() -> None:
    one_by_one = [sampler().batch(step) for step in range(20)]
    asked = sampler()
    backwards = [asked.batch(step) for step in reversed(range(20))]
    assert one_by_one == backwards[::-1]


def test_another_seed_draws_another_order() -> None:
    assert [sampler(seed=1).batch(step) for step in range(4)] != [sampler(seed=2).batch(step) for step in range(4)]


def test_rare_classes_are_drawn_as_often_as_common_ones_and_every_one_comes_before_any_comes_twice() -> None:
    drawn = [sampler().row(number) for number in range(18)]
    assert Counter(CLASSES[row] for row in drawn) == {0: 9, 1: 9}
    assert Counter(drawn) == {**dict.fromkeys(range(9), 1), **dict.fromkeys(range(9, 12), 3)}


def test_natural_sampling_draws_everything_once_in_a_pass_across_the_borders_of_epochs() -> None:
    natural = sampler("natural", batch_size=5)
    assert natural.steps_per_epoch == 3
    rows = [natural.row(number) for number in range(36)]
    assert all(sorted(rows[first : first + 12]) == list(range(12)) for first in (0, 12, 24))
    assert rows[:12] != rows[12:24]


def test_every_draw_of_a_chunk_is_in_one_batch_and_batches_hold_like_lengths() -> None:
    natural = sampler("natural")
    batches = [natural.batch(step) for step in range(4)]
    assert sorted(draw.number for batch in batches for draw in batch) == list(range(12))
    spreads = [np.ptp([LENGTHS_S[draw.row] for draw in batch]) for batch in batches]
    assert np.mean(spreads) < 0.5 * np.ptp(LENGTHS_S)
