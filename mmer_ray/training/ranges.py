"""Which values a setting may have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmer_ray.errors import UsageError


@dataclass(frozen=True)
class Range:
    """Numbers between two bounds, both among them unless said; NaN and infinity lie in no range."""

    low: float
    high: float = math.inf
    has_low: bool = True
    has_high: bool = True

    def __contains__(self, value: float) -> bool:
        # Every comparison fails for NaN.
        above = value >= self.low if self.has_low else value > self.low
        below = value <= self.high if self.has_high else value < self.high
        return above and below and math.isfinite(value)

    def __str__(self) -> str:
        if math.isinf(self.low):
            return "finite"
        above = f"{'at least' if self.has_low else 'above'} {self.low:g}"
        if math.isinf(self.high):
            return above
        return f"{above} and {'at most' if self.has_high else 'below'} {self.high:g}"


SHARE = Range(0, 1)
SHARE_BELOW_ONE = Range(0, 1, has_high=False)
FROM_ZERO = Range(0)
FROM_ONE = Range(1)


def check_ranges(settings: Any, where: str, ranges: Mapping[str, Range]) -> None:
    """Raise `UsageError` for an attribute outside its range; of a tuple, every number counts. None is no number."""
    for name, allowed in ranges.items():
        value = getattr(settings, name)
        numbers = value if isinstance(value, tuple) else (value,)
        if any(number is not None and number not in allowed for number in numbers):
            raise UsageError(f"{where}: {name} is {value}; it must be {allowed}")


def check_pair(settings: Any, where: str, name: str, allowed: Range) -> None:
    """Raise `UsageError` where an attribute, the two ends of a range, is off; None is no pair."""
    pair = getattr(settings, name)
    if pair is None:
        return
    low, high = pair
    if not (low in allowed and high in allowed and low <= high):
        raise UsageError(f"{where}: {name} is {pair}; it must be two numbers, {allowed}, the lower one first")
