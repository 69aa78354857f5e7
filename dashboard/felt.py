"""The figures and charts of what was felt, made of one answer of the lake: rows of `questions.overview.felt`."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mmer_ray.lake.overview import NEGATIVE
from mmer_ray.tables import Row


class Step(StrEnum):
    """How days are put together over time."""

    DAY = "day"
    WEEK = "week"
    """They begin on Monday."""
    MONTH = "month"


MAX_DAYS, MAX_WEEKS = 62, 430
"""Longer spans, in days, are shown by week, and by month."""


def step_for(num_days: int) -> Step:
    """Bars few enough to tell apart."""
    if num_days <= MAX_DAYS:
        return Step.DAY
    return Step.WEEK if num_days <= MAX_WEEKS else Step.MONTH


def totals(felt: pa.Table) -> Row:
    """`num_utterances`, `num_answered`, `speech_ms`, `answered_ms`, `negative_ms`; the means `valence`, over utterances
    that have one, and `confidence`, over those with an answer, None without any."""
    answered = felt.filter(pc.is_valid(felt.column("label")))
    negative = answered.filter(pc.is_in(answered.column("label"), pa.array(NEGATIVE)))
    return {
        "num_utterances": _sum(felt, "num_utterances"),
        "num_answered": _sum(answered, "num_utterances"),
        "speech_ms": _sum(felt, "speech_ms"),
        "answered_ms": _sum(answered, "speech_ms"),
        "negative_ms": _sum(negative, "speech_ms"),
        "valence": _mean(felt, "valence"),
        "confidence": _mean(answered, "confidence"),
    }


def over_time(felt: pa.Table, step: Step) -> pa.Table:
    """`begins` (date), `label` (null: no answer), `speech_ms`, by time."""
    dated = felt.filter(pc.is_valid(felt.column("day")))
    begins = pc.floor_temporal(dated.column("day"), unit=step.value, week_starts_monday=True)
    return _speech_by(dated.append_column("begins", begins), "begins")


def by_role(felt: pa.Table) -> pa.Table:
    """`role`, `label` (null: no answer), `speech_ms`, by role."""
    return _speech_by(felt, "role")


def _speech_by(felt: pa.Table, name: str) -> pa.Table:
    summed = felt.group_by([name, "label"]).aggregate([("speech_ms", "sum")])
    return summed.rename_columns([name, "label", "speech_ms"]).sort_by([(name, "ascending"), ("label", "ascending")])


def _sum(felt: pa.Table, name: str) -> Any:
    return pc.sum(felt.column(name)).as_py() or 0


def _mean(felt: pa.Table, name: str) -> float | None:
    number = _sum(felt, f"num_{name}")
    return _sum(felt, f"{name}_sum") / number if number else None
