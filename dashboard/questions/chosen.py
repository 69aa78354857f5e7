"""The rows that filters choose, as conditions of SQL with bound values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from dashboard.filters import UNKNOWN_ROLE, Filters
from dashboard.question import Question, Value

QUARTER = "least(4, 1 + 4 * start_ms // greatest(duration_ms, 1))"
"""The quarter of its recording, 1..4, in which an utterance begins: an expression over rows that have both times."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A condition and the values of its `$names`."""

    sql: str
    values: dict[str, Value]


def places(filters: Filters, corpora: Sequence[str]) -> Chosen:
    """Choose by corpus and day alone, from any table that has both. `corpora` are those to ask about
    (`Filters.scope`): none of them finds nothing."""
    parts, values = ["list_contains($corpora, corpus)"], _values(corpora=tuple(corpora))
    if filters.first_day is not None:
        parts.append("day >= $first_day")
        values["first_day"] = filters.first_day
    if filters.last_day is not None:
        parts.append("day <= $last_day")
        values["last_day"] = filters.last_day
    return Chosen(" AND ".join(parts), values)


def utterances(filters: Filters, corpora: Sequence[str]) -> Chosen:
    """Choose from `serving_utterances` or, where `needs_utterances` is false, from `day_rollup`."""
    begun = places(filters, corpora)
    parts, values = [begun.sql], dict(begun.values)
    if filters.labels:
        parts.append("list_contains($labels, label)")
        values["labels"] = filters.labels
    elif not filters.abstained:
        parts.append("label IS NOT NULL")
    if filters.roles:
        parts.append(f"list_contains($roles, coalesce(role, '{UNKNOWN_ROLE}'))")
        values["roles"] = filters.roles
    if filters.min_confidence:
        parts.append("confidence >= $min_confidence")
        values["min_confidence"] = filters.min_confidence
    if filters.text:
        parts.append("contains(lower(text), lower($text))")
        values["text"] = filters.text
    return Chosen(" AND ".join(parts), values)


def _values(**values: Value) -> dict[str, Value]:
    return values


def utterances_of(columns: str, corpora: Sequence[str], recording_ids: Sequence[str], days: Sequence[date]) -> Question:
    """These columns, a constant of the caller, of the utterances of recordings, by start. `days` are those of the
    recordings, so that few files are read."""
    return Question.of(
        f"""
        SELECT {columns} FROM serving_utterances
        WHERE day BETWEEN $first_day AND $last_day AND list_contains($corpora, corpus)
            AND recording_id IN (SELECT unnest($recording_ids))
        ORDER BY corpus, recording_id, start_ms, utterance_idx
        """,  # noqa: S608
        corpora=tuple(corpora),
        recording_ids=tuple(recording_ids),
        first_day=min(days),
        last_day=max(days),
    )
