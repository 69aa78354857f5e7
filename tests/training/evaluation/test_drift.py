"""The population stability index and its verdicts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mmer_ray.training.evaluation.drift import drift_of_labels, drift_of_numbers


def test_the_index_is_the_sum_over_bins_of_difference_times_log_ratio() -> None:
    found = drift_of_labels("label", ["angry"] * 300 + ["sad"] * 700, ["angry"] * 500 + ["sad"] * 500)
    # Half an answer is added to each bin, which changes little here.
    assert found.psi == pytest.approx(0.2 * math.log(0.5 / 0.3) - 0.2 * math.log(0.5 / 0.7), rel=0.01)
    assert (found.verdict, found.num_before, found.num_after) == ("moderate drift", 1000, 1000)


def test_numbers_are_binned_by_the_deciles_of_the_earlier_ones() -> None:
    rng = np.random.default_rng(0)
    before = rng.normal(0, 1, 2000)
    assert drift_of_numbers("valence", before, rng.normal(0, 1, 2000)).verdict == "stable"
    assert drift_of_numbers("valence", before, rng.normal(0.4, 1, 2000)).verdict == "moderate drift"
    assert drift_of_numbers("valence", before, rng.normal(1.5, 1, 2000)).verdict == "large drift"
    with_gaps = np.concatenate([before, np.full(50, np.nan)])
    assert drift_of_numbers("valence", with_gaps, before).num_before == 2000


def test_few_answers_have_no_verdict_however_much_they_differ() -> None:
    assert drift_of_labels("label", ["angry"] * 299, ["sad"] * 5000).verdict == "too few"
    assert drift_of_numbers("valence", np.array([]), np.ones(5000)).verdict == "too few"


def test_without_drift_chance_stays_below_what_it_is_said_to_in_nineteen_of_twenty_cases() -> None:
    rng = np.random.default_rng(0)
    found = [drift_of_numbers("x", rng.normal(size=400), rng.normal(size=400)) for _ in range(300)]
    assert 0.90 <= np.mean([one.psi <= one.by_chance for one in found]) <= 0.99
    assert np.mean([one.verdict == "stable" for one in found]) >= 0.95


def test_one_constant_is_stable() -> None:
    assert drift_of_numbers("x", np.ones(400), np.ones(400)).psi == pytest.approx(0.0)
