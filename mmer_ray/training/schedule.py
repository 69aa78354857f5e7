"""How the learning rate moves: over a number of steps, or over the minutes spent, so that a run ends when told to."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then half a cosine down to `final_share` of the peak, over a budget of time."""

    budget_s: float
    peak_rate: float
    warm_up_share: float = 0.05
    final_share: float = 0.01

    def rate(self, spent_s: float) -> float:
        """Return the learning rate after so many seconds."""
        return cosine_rate(self.peak_rate, min(1.0, spent_s / self.budget_s), self.warm_up_share, self.final_share)


def cosine_rate(peak_rate: float, share: float, warm_up_share: float, final_share: float) -> float:
    """Return the learning rate after a share of the training, 0..1: linear warm-up, then half a cosine."""
    if share < warm_up_share:
        return peak_rate * max(share, 1e-3) / warm_up_share
    through = (share - warm_up_share) / (1 - warm_up_share)
    return peak_rate * (final_share + (1 - final_share) * (1 + math.cos(math.pi * through)) / 2)


class Clock:
    """Counts seconds spent, going on from where an interrupted run was."""

    def __init__(self, already_s: float = 0.0) -> None:
        self._started = time.monotonic() - already_s

    @property
    def spent_s(self) -> float:
        """Return the seconds spent in all."""
        return time.monotonic() - self._started
