"""Whether what a model answers has drifted: the population stability index between two sets of answers.

PSI = sum over bins of (p - q) ln(p / q) (Siddiqi, "Credit Risk Scorecards", 2006, chapter 9), with half an answer added
to each bin. Without any drift it is about (1/n + 1/m) times a chi-squared variable of as many degrees of freedom as
there are bins, less one (Yurdakul and Naranjo, "Statistical properties of the population stability index", Journal of
Risk Model Validation 2020): so small sets exceed any fixed threshold by chance.

Shape letters: N answers before, M after, B bins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr
from scipy.stats import chi2

MIN_ANSWERS = 300
"""On either side. Against a large earlier set, every third set of 100 without drift has a PSI above 0.1 in ten bins,
and one of 2,000 sets of 300: P(chi-squared of 9 degrees > 0.1 n)."""
MODERATE, LARGE = 0.1, 0.25
"""The thresholds in common use (Siddiqi 2006)."""
NUM_BINS = 10
"""Of numbers: as many of the earlier answers in each."""
_QUANTILE = 0.95
Verdict = Literal["too few", "stable", "moderate drift", "large drift"]


@dataclass(frozen=True)
class Drift:
    """How one quantity has moved."""

    quantity: str
    psi: float
    by_chance: float
    """What the PSI stays below in 95 of 100 cases without drift."""
    num_before: int
    num_after: int
    verdict: Verdict
    """Moderate from `MODERATE` and large from `LARGE` on, where chance alone does not reach that."""


def drift_of_labels(quantity: str, before: Sequence[str], after: Sequence[str]) -> Drift:
    """Compare the shares of labels."""
    return drift_of_counts(quantity, Counter(before), Counter(after))


def drift_of_counts(quantity: str, before: Mapping[str, int], after: Mapping[str, int]) -> Drift:
    """Compare how often each label occurs."""
    names = sorted({*before, *after})
    counts = [np.array([labels.get(name, 0) for name in names], np.float64) for labels in (before, after)]
    return _drift(quantity, *counts)


def drift_of_numbers(quantity: str, before: NDArray[np.floating], after: NDArray[np.floating]) -> Drift:
    """Compare numbers, shapes (N,) and (M,), over the deciles of the earlier ones; NaN is left out."""
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    inner = np.unique(np.quantile(before, np.linspace(0, 1, NUM_BINS + 1)[1:-1])) if len(before) else np.array([])
    counts = [
        np.bincount(np.searchsorted(inner, values, side="left"), minlength=len(inner) + 1).astype(np.float64)
        for values in (before, after)
    ]
    return _drift(quantity, *counts)


def _drift(quantity: str, before_B: NDArray[np.float64], after_B: NDArray[np.float64]) -> Drift:
    num_before, num_after, num_bins = int(before_B.sum()), int(after_B.sum()), len(before_B)
    p, q = ((counts + 0.5) / (counts + 0.5).sum() for counts in (before_B, after_B))
    psi = float((rel_entr(p, q) + rel_entr(q, p)).sum())
    if min(num_before, num_after) < MIN_ANSWERS:
        by_chance = _by_chance(max(num_before, 1), max(num_after, 1), num_bins)
        return Drift(quantity, psi, by_chance, num_before, num_after, "too few")
    by_chance = _by_chance(num_before, num_after, num_bins)
    verdict: Verdict = "stable"
    if psi >= max(MODERATE, by_chance):
        verdict = "large drift" if psi >= LARGE else "moderate drift"
    return Drift(quantity, psi, by_chance, num_before, num_after, verdict)


def _by_chance(num_before: int, num_after: int, num_bins: int) -> float:
    return (1 / num_before + 1 / num_after) * _chi_squared(max(num_bins - 1, 1))


@cache
def _chi_squared(num_degrees: int) -> float:
    """The same few numbers of degrees, for each quantity of each pair of runs."""
    return float(chi2.ppf(_QUANTILE, num_degrees))
