"""Measures of a classifier."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def unweighted_accuracy(truth: NDArray[np.int64], guess: NDArray[np.int64]) -> float:
    """Mean recall over the classes that occur in the truth; class numbers, int64, shape (num_utterances,).

    >>> unweighted_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])).__round__(3)
    0.833
    """
    if not len(truth):
        raise ValueError("unweighted accuracy of no utterances is not defined")
    return float(np.mean([np.mean(guess[truth == label] == label) for label in np.unique(truth)]))


def weighted_accuracy(truth: NDArray[np.int64], guess: NDArray[np.int64]) -> float:
    """Share of utterances that are named right; class numbers, int64, shape (num_utterances,).

    >>> weighted_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]))
    0.75
    """
    if not len(truth):
        raise ValueError("weighted accuracy of no utterances is not defined")
    return float(np.mean(truth == guess))


def confusion(truth: NDArray[np.int64], guess: NDArray[np.int64], num_classes: int) -> NDArray[np.int64]:
    """Count utterances by true class (rows) and guessed class (columns): int64, shape (num_classes, num_classes).

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    counts = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(counts, (truth, guess), 1)
    return counts
