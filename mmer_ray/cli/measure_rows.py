"""Figures of an evaluation as rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmer_ray.training.evaluation.result import Measure


def measure_row(name: str, one: Measure) -> tuple[str, str, str]:
    """Name, value and, where there is one, the interval."""
    interval = "" if one.low is None or one.high is None else f"{one.low:.3f} to {one.high:.3f}"
    return name, f"{one.value:.3f}", interval
