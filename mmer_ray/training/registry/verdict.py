"""What a gate asks of a model and what it found, as values. Loads no torch: dashboards read it too."""

from __future__ import annotations

from dataclasses import dataclass

from mmer_ray.errors import UsageError
from mmer_ray.training.evaluation.result import Difference

METRICS = ("ua", "wa", "macro_f1", "ccc_valence", "ccc_arousal", "ccc_dominance")
"""Measures that a gate may ask for: of each, more is better."""


@dataclass(frozen=True)
class Gate:
    """What is asked of a model."""

    floor: float
    """The least value of the metric, whatever other models have."""
    margin: float = 0.01
    """How much worse than the active model it may be."""
    metric: str = "ua"
    """One of `METRICS`, by its name in `evaluation.json`."""

    def __post_init__(self) -> None:
        """Raises `UsageError` for a value that cannot be meant."""
        if self.metric not in METRICS:
            raise UsageError(f"a gate cannot ask for {self.metric!r}; it can for: {', '.join(METRICS)}")
        if not -1 <= self.floor <= 1:
            raise UsageError(f"the floor of a gate is a number such as 0.6, at most 1, not {self.floor}")
        if not 0 <= self.margin <= 1:
            raise UsageError(f"the margin of a gate is a number from 0 to 1 such as 0.01, not {self.margin}")


@dataclass(frozen=True)
class Paired:
    """The new model against the active one."""

    active: str
    """Name of the active model."""
    value: float
    """The metric of the new model, on the utterances that both were tested on."""
    active_value: float
    difference: Difference
    """New minus active."""
    num_utterances: int
    num_speakers: int
    notes: tuple[str, ...] = ()
    """What a reader must know before trusting the interval."""

    def __str__(self) -> str:
        one = self.difference
        interval = "" if one.low is None else f", 95 % interval {one.low:+.3f} to {one.high:+.3f}"
        return (
            f"{self.value:.3f} against {self.active_value:.3f} of {self.active} (difference {one.value:+.3f}{interval}"
            f"; {self.num_utterances} utterances of {self.num_speakers} speakers that both were tested on)"
        )


@dataclass(frozen=True)
class Verdict:
    """What the gate asked and found."""

    gate: Gate
    value: float | None
    """The metric on all of the new model's test data; None where its evaluation does not have it."""
    paired: Paired | None
    """None: there was no active model, or nothing to compare the two on."""
    reasons: tuple[str, ...]
    """Why the model is refused, with the numbers; empty: it may be promoted."""

    @property
    def passed(self) -> bool:
        return not self.reasons
