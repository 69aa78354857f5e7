"""The equal error rate of a yes-or-no score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve


@dataclass(frozen=True)
class EqualError:
    """Where as many different pairs are accepted as same pairs are refused."""

    rate: float
    threshold: float
    """The lowest score that is accepted."""


def equal_error(scores: NDArray[np.floating], same: NDArray[np.bool_]) -> EqualError:
    """Find the equal error of scores (high = same), float, shape (num_pairs,), against the truth, bool, alike.

    Of the thresholds where the two rates are nearest, the lowest. The truth holds both kinds of pairs.

    >>> equal_error(np.array([0.9, 0.8, 0.2, 0.1]), np.array([True, True, False, False]))
    EqualError(rate=0.0, threshold=0.8)
    """
    accepted, hits, thresholds = roc_curve(same, scores, drop_intermediate=False)
    refused = 1 - hits
    # Thresholds fall along the curve.
    best = len(thresholds) - 1 - int(np.argmin(np.abs(refused - accepted)[::-1]))
    return EqualError(float((refused[best] + accepted[best]) / 2), float(thresholds[best]))
