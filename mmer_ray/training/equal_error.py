"""The equal error rate of a yes-or-no score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class EqualError:
    """Where as many different pairs are accepted as same pairs are refused."""

    rate: float
    threshold: float


def equal_error(scores: NDArray[np.floating], same: NDArray[np.bool_]) -> EqualError:
    """Find the equal error of scores (high = same), float, shape (num_pairs,), against the truth, bool, alike.

    >>> equal_error(np.array([0.9, 0.8, 0.2, 0.1]), np.array([True, True, False, False])).rate
    0.0
    """
    order = np.argsort(scores)
    sorted_same = same[order]
    refused = np.cumsum(sorted_same) / max(1, int(same.sum()))
    accepted = 1 - np.cumsum(~sorted_same) / max(1, int((~same).sum()))
    best = int(np.argmin(np.abs(refused - accepted)))
    return EqualError(float((refused[best] + accepted[best]) / 2), float(scores[order][best]))
