"""Temperature scaling (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2).

Shape letters: N utterances, K classes.
"""

from __future__ import annotations

import math

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional

COLDEST, HOTTEST = 0.05, 20.0


def temperature_of(logits_NK: Tensor, labels_N: Tensor) -> float:
    """The temperature under which logits of utterances that training has not heard have the least cross-entropy.

    Takes logits, float, shape (N, K), and true classes, int64, shape (N,).
    """

    def cross_entropy(log_temperature: float) -> float:
        return float(functional.cross_entropy(logits_NK.double() / math.exp(log_temperature), labels_N))

    found = minimize_scalar(cross_entropy, bounds=(math.log(COLDEST), math.log(HOTTEST)), method="bounded")
    return math.exp(float(found.x))


def answered(logits_NK: Tensor, labels_N: Tensor, min_confidence: float) -> tuple[float, float]:
    """Share of utterances whose best probability reaches a threshold, and how many of these are right (NaN of none)."""
    best_N, guesses_N = torch.softmax(logits_NK.double(), dim=1).max(dim=1)
    kept_N = best_N >= min_confidence
    right = (guesses_N == labels_N)[kept_N].double()
    return float(kept_N.double().mean()), float(right.mean()) if len(right) else math.nan
