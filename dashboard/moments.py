"""What is drawn of a recording in a list: its worst moment, and how it went from begin to end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dashboard.filters import UNKNOWN_ROLE, Filters
from mmer_ray.lake.overview import ANGRY, NEGATIVE, worst_moment
from mmer_ray.records import Emotion, Utterance
from mmer_ray.tables import Row

PARTS = 12
"""A recording is drawn in so many parts of equal length."""


@dataclass(frozen=True, slots=True)
class Course:
    """How one recording went."""

    worst_start_ms: int | None
    """Of the worst moment, as `mmer show` finds it; None for a recording without one."""
    negative_share: float | None
    """Of the seconds with an answer that the speakers chosen talk, how many are negative; None where nothing is
    answered."""
    parts: tuple[float, ...]
    """`PARTS` of them: mean valence where the model has one, else the share of negative seconds; a part in which
    nothing begins is like the one before, the first ones like the first that is known. Empty where nothing is known."""


def courses(
    said: Iterable[Row], durations_ms: dict[tuple[str, str], int], filters: Filters
) -> dict[tuple[str, str], Course]:
    """(corpus, recording_id) -> how it went; `said` are rows of `questions.recordings.said_in`."""
    rows: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in said:
        rows[row["corpus"], row["recording_id"]].append(row)
    return {place: _course(some, durations_ms.get(place) or 1, filters) for place, some in rows.items()}


def _course(rows: Sequence[Row], duration_ms: int, filters: Filters) -> Course:
    worst = worst_moment([_utterance(row) for row in rows])
    spoken = [row for row in rows if _is_of_speakers(row, filters)]
    return Course(
        None if worst is None else round(worst.start_s * 1000), _negative_share(spoken), _parts(rows, duration_ms)
    )


def _is_of_speakers(row: Row, filters: Filters) -> bool:
    """As `Filters.of_speakers` has it in SQL."""
    is_theirs = not filters.roles or (row["role"] or UNKNOWN_ROLE) in filters.roles
    return is_theirs and (not filters.min_confidence or (row["confidence"] or 0.0) >= filters.min_confidence)


def _negative_share(rows: Sequence[Row]) -> float | None:
    answered = [row for row in rows if row["label"] is not None]
    negative_ms = sum(_length_ms(row) for row in answered if row["label"] in NEGATIVE)
    total_ms = sum(map(_length_ms, answered))
    return negative_ms / total_ms if total_ms else None


def _parts(rows: Sequence[Row], duration_ms: int) -> tuple[float, ...]:
    cut: list[list[Row]] = [[] for _ in range(PARTS)]
    for row in rows:
        cut[min(PARTS - 1, PARTS * row["start_ms"] // duration_ms)].append(row)
    has_valence = any(row["valence"] is not None for row in rows)
    found = [_mean_valence(some) if has_valence else _negative_share(some) for some in cut]
    last = next((value for value in found if value is not None), None)
    if last is None:
        return ()
    values: list[float] = []
    for value in found:
        last = last if value is None else value
        values.append(last)
    return tuple(values)


def _mean_valence(rows: Sequence[Row]) -> float | None:
    valences = [row["valence"] for row in rows if row["valence"] is not None]
    return sum(valences) / len(valences) if valences else None


def _length_ms(row: Row) -> int:
    return int(row["end_ms"] - row["start_ms"])


def _utterance(row: Row) -> Utterance:
    """As much of an utterance as a worst moment needs."""
    felt = Emotion("", row["label"], {ANGRY: row["p_angry"] or 0.0})
    return Utterance(row["start_ms"] / 1000, row["end_ms"] / 1000, 0, "", "", emotions=(felt,))
