"""How the learning rate moves, and when a training ends: after a number of steps, or when its minutes are spent."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Protocol

WARM_UP_SHARE = 0.05
"""Of the embedded models' trainings."""


def cosine_rate(peak_rate: float, share: float, warm_up_share: float, final_share: float) -> float:
    """Return the learning rate after a share of the training, 0..1: linear warm-up, then half a cosine."""
    if share < warm_up_share:
        return peak_rate * max(share, 1e-3) / warm_up_share
    through = (share - warm_up_share) / (1 - warm_up_share)
    return peak_rate * (final_share + (1 - final_share) * (1 + math.cos(math.pi * through)) / 2)


class Budget(Protocol):
    """What a training may spend."""

    def share(self, num_steps: int) -> float:
        """The share of the training that its next step completes, after so many steps; above 1: there is no next."""


@dataclass(frozen=True)
class Steps:
    """A number of steps."""

    num_steps: int

    def share(self, num_steps: int) -> float:
        return (num_steps + 1) / self.num_steps if self.num_steps else math.inf


class Minutes:
    """A time, counted over all sittings of a training that is interrupted and goes on."""

    def __init__(self, minutes: float, already_s: float = 0.0) -> None:
        self._budget_s = minutes * 60
        self._started = time.monotonic() - already_s

    @property
    def spent_s(self) -> float:
        """The seconds spent in all."""
        return time.monotonic() - self._started

    def share(self, num_steps: int) -> float:
        return self.spent_s / self._budget_s if self.spent_s < self._budget_s else math.inf
