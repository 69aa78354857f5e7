"""What the list of recordings asks: which fit the filters, in which order, and what is drawn of those on one page."""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from enum import StrEnum

from dashboard.filters import Filters
from dashboard.question import Question, Value
from dashboard.questions.chosen import places, utterances, utterances_of
from mmer_ray.lake.overview import NEGATIVE

PULL = 5
"""Of the worst valence of a recording of n utterances n / (n + `PULL`) counts: of two with an equal one, that with more
evidence comes first."""
PULL_MS = 30_000
"""The same for shares of speech, in milliseconds."""


class Order(StrEnum):
    """What comes first. The words are shown, and stand in the address."""

    WORST = "worst 30 seconds"
    NEGATIVE = "most negative speech"
    INTERRUPTIONS = "most interruptions"
    LONGEST = "longest"
    NEWEST = "newest"


_BY = {
    Order.WORST: f"worst_window_valence * num_utterances / (num_utterances + {PULL}) ASC NULLS LAST",
    Order.NEGATIVE: f"coalesce(negative_ms, 0) / (coalesce(answered_ms, 0) + {PULL_MS}) DESC",
    Order.INTERRUPTIONS: "interruptions DESC NULLS LAST",
    Order.LONGEST: "duration_ms DESC NULLS LAST",
    Order.NEWEST: "day DESC NULLS LAST",
}
_MEASURES = (
    "worst_window_start_ms, worst_window_valence, valence_q1, valence_q2, valence_q3, valence_q4, interruptions, "
    "overlap_ms, silence_ms, num_utterances"
)


def has_valence(corpora: Sequence[str]) -> Question:
    """One row: `has_valence`, whether the active models of these corpora say how pleasant speech is."""
    return Question.of(
        """
        SELECT coalesce(sum(num_valence), 0) > 0 AS has_valence FROM day_rollup
        WHERE list_contains($corpora, corpus)
        """,
        corpora=tuple(corpora),
    )


def how_many(filters: Filters, corpora: Sequence[str]) -> Question:
    """One row: `num_recordings` that fit."""
    if not filters.chooses_utterances:
        place = places(filters, corpora)
        counted = f"SELECT coalesce(sum(num_calls), 0)::BIGINT AS num_recordings FROM day_calls WHERE {place.sql}"
        return Question.of(counted, **place.values)
    chosen = utterances(filters, corpora)
    return Question.of(
        f"""
        SELECT count(*) AS num_recordings FROM (
            SELECT DISTINCT corpus, recording_id FROM serving_utterances WHERE {chosen.sql}
        )
        """,
        **chosen.values,
    )


def ranked(filters: Filters, corpora: Sequence[str], order: Order, limit: int | None, offset: int = 0) -> Question:
    """Recordings that fit, in order: `corpus`, `recording_id`, `day`, `duration_ms`, `num_speakers`, `language`, the
    lake's measures of the conversation, `uri` (of several files that which its page names) and, where utterances are
    chosen, `num_matches`. Without a limit: all.

    By `NEGATIVE` also `negative_ms` and `answered_ms`, of all that the speakers chosen say (`Filters.of_speakers`): of
    utterances that were chosen by their emotion the share would be known before.
    """
    rows, values = _fitting(filters, corpora, with_negative=order is Order.NEGATIVE)
    cut = "" if limit is None else "LIMIT $limit OFFSET $offset"
    bounds: dict[str, Value] = {} if limit is None else {"limit": limit, "offset": offset}
    return Question.of(
        f"""
{rows}, best AS (
            SELECT * FROM fitting ORDER BY {_BY[order]}, corpus, recording_id {cut}
        )
        SELECT best.*, named.uri FROM best LEFT JOIN (
            SELECT corpus, recording_id, min_by(uri, (is_copy, uri)) AS uri
            FROM recordings SEMI JOIN best USING (corpus, recording_id) WHERE status = 'scored' GROUP BY ALL
        ) AS named USING (corpus, recording_id)
        ORDER BY {_BY[order]}, corpus, recording_id
        """,
        **values,
        **bounds,
    )


def said_in(corpora: Sequence[str], recording_ids: Sequence[str], days: Sequence[date]) -> Question:
    """The utterances of these recordings, by start: `corpus`, `recording_id`, `start_ms`, `end_ms`, `label`, `valence`,
    `p_angry`, `confidence`, `role`. `days` are those of the recordings, so that few files are read."""
    columns = "corpus, recording_id, start_ms, end_ms, label, valence, p_angry, confidence, role"
    return utterances_of(columns, corpora, recording_ids, days)


def export_recordings(filters: Filters, corpora: Sequence[str], order: Order) -> Question:
    """All recordings that fit, in order."""
    return ranked(filters, corpora, order, limit=None)


def _fitting(filters: Filters, corpora: Sequence[str], *, with_negative: bool) -> tuple[str, dict[str, Value]]:
    """A WITH clause that makes `fitting`, and its values."""
    place = places(filters, corpora)
    heard = f"""
        WITH held AS (
            SELECT corpus, recording_id, day, duration_ms, num_speakers, language FROM results WHERE {place.sql}
        ), measured AS (
            SELECT corpus, recording_id, {_MEASURES} FROM calls WHERE {place.sql}
        )"""
    joined = "SELECT * FROM held LEFT JOIN measured USING (corpus, recording_id)"
    parts, values = [heard], dict(place.values)
    if filters.chooses_utterances:
        chosen = utterances(filters, corpora)
        parts.append(f"""matching AS (
            SELECT corpus, recording_id, count(*) AS num_matches FROM serving_utterances WHERE {chosen.sql} GROUP BY ALL
        )""")
        joined += " JOIN matching USING (corpus, recording_id)"
        values |= chosen.values
    if with_negative:
        spoken = utterances(filters.of_speakers(), corpora)
        parts.append(f"""felt AS (
            SELECT corpus, recording_id{_NEGATIVE_SUMS} FROM serving_utterances WHERE {spoken.sql} GROUP BY ALL
        )""")
        joined += " LEFT JOIN felt USING (corpus, recording_id)"
        values |= {**spoken.values, "negative": NEGATIVE}
    return f"{', '.join(parts)}, fitting AS ({joined})", values


_NEGATIVE_SUMS = """,
                sum(end_ms - start_ms) FILTER (list_contains($negative, label)) AS negative_ms,
                sum(end_ms - start_ms) FILTER (label IS NOT NULL) AS answered_ms"""
