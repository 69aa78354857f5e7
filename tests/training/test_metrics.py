"""Measures of a classifier, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mmer_ray.training.metrics import unweighted_accuracy


def test_classes_count_alike_however_rare_they_are() -> None:
    truth, guess = np.array([0] * 98 + [1, 2]), np.array([0] * 98 + [0, 2])
    assert unweighted_accuracy(truth, guess) == pytest.approx((1 + 0 + 1) / 3)


def test_a_class_absent_from_the_truth_does_not_count() -> None:
    assert unweighted_accuracy(np.array([1, 1, 3]), np.array([1, 0, 3])) == pytest.approx(0.75)


def test_no_utterances_have_no_accuracy() -> None:
    with pytest.raises(ValueError, match="no utterances"):
        unweighted_accuracy(np.array([], dtype=np.int64), np.array([], dtype=np.int64))
