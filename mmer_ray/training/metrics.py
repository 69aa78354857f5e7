"""Measures of a classifier."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import recall_score


def unweighted_accuracy(truth: NDArray[np.int64], guess: NDArray[np.int64]) -> float:
    """Mean recall over the classes that occur in the truth; class numbers, int64, shape (num_utterances,).

    Raises `ValueError` for no utterances.

    >>> unweighted_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])).__round__(3)
    0.833
    """
    if not len(truth):
        raise ValueError("unweighted accuracy of no utterances is not defined")
    return float(recall_score(truth, guess, labels=np.unique(truth), average="macro"))
