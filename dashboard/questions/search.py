"""What the search asks: which utterances fit, how many there are, and what stands around them."""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from enum import StrEnum

from dashboard.filters import Filters
from dashboard.question import Question, Value
from dashboard.questions.chosen import QUARTER, places, utterances, utterances_of


class Order(StrEnum):
    """What comes first. The words are shown, and stand in the address."""

    NEWEST = "newest"
    OLDEST = "oldest"
    SUREST = "surest emotion"
    ANGRIEST = "most probably angry"
    WORST = "lowest valence"
    LONGEST = "longest"


class Part(StrEnum):
    """Where in its recording an utterance begins."""

    ANYWHERE = "anywhere"
    FIRST = "first quarter"
    SECOND = "second quarter"
    THIRD = "third quarter"
    LAST = "last quarter"


_BY = {
    Order.NEWEST: "day DESC NULLS LAST",
    Order.OLDEST: "day ASC NULLS LAST",
    Order.SUREST: "confidence DESC NULLS LAST",
    Order.ANGRIEST: "p_angry DESC NULLS LAST",
    Order.WORST: "valence ASC NULLS LAST",
    Order.LONGEST: "end_ms - start_ms DESC",
}
_QUARTERS = {Part.FIRST: 1, Part.SECOND: 2, Part.THIRD: 3, Part.LAST: 4}
_THEN = "corpus, recording_id, utterance_idx"


def by_day(filters: Filters, corpora: Sequence[str], part: Part, min_s: float) -> Question:
    """`day`, `label` (null: no answer), `num_utterances` of all that fit."""
    rows, values = _fitting(filters, corpora, part, min_s)
    return Question.of(f"SELECT day, label, count(*) AS num_utterances FROM {rows} GROUP BY ALL ORDER BY ALL", **values)


def hits(
    filters: Filters, corpora: Sequence[str], part: Part, min_s: float, order: Order, limit: int, offset: int = 0
) -> Question:
    """Some of the utterances that fit, in order: what was said, by whom and how it was felt, and `uri`, `size_bytes`,
    `container`, `channels`, `duration_ms` of the file."""
    rows, values = _fitting(filters, corpora, part, min_s)
    return Question.of(
        f"""
        WITH best AS (
            SELECT corpus, recording_id, utterance_idx, day, start_ms, end_ms, speaker, speaker_name, role, language,
                text, scorer, label, confidence, valence, p_angry, skip_reason
            FROM {rows} ORDER BY {_BY[order]}, {_THEN} LIMIT $limit OFFSET $offset
        )
        SELECT best.*, uri, size_bytes, container, channels, duration_ms FROM best LEFT JOIN (
            SELECT * FROM recordings SEMI JOIN best USING (corpus, recording_id) WHERE status = 'scored'
            QUALIFY row_number() OVER (PARTITION BY corpus, recording_id ORDER BY is_copy, uri) = 1
        ) AS file USING (corpus, recording_id)
        ORDER BY {_BY[order]}, {_THEN}
        """,
        limit=limit,
        offset=offset,
        **values,
    )


def around(corpora: Sequence[str], recording_ids: Sequence[str], days: Sequence[date]) -> Question:
    """The utterances of these recordings, by start: `corpus`, `recording_id`, `utterance_idx`, `text`, `speaker`,
    `speaker_name`, `role`. `days` are those of the recordings, so that few files are read."""
    columns = "corpus, recording_id, utterance_idx, text, speaker, speaker_name, role"
    return utterances_of(columns, corpora, recording_ids, days)


def export_utterances(filters: Filters, corpora: Sequence[str], part: Part, min_s: float) -> Question:
    """All utterances that fit, with what was said and how it was felt."""
    rows, values = _fitting(filters, corpora, part, min_s)
    return Question.of(
        f"""
        SELECT corpus, day, recording_id, utterance_idx, start_ms, end_ms, channel, speaker, speaker_name, role,
            language, text, scorer, label, confidence, valence, arousal, dominance, skip_reason
        FROM {rows} ORDER BY corpus, day, recording_id, utterance_idx
        """,
        **values,
    )


def _fitting(filters: Filters, corpora: Sequence[str], part: Part, min_s: float) -> tuple[str, dict[str, Value]]:
    """An expression that gives the rows of `serving_utterances` that fit, and its values."""
    chosen = utterances(filters, corpora)
    condition, values = chosen.sql, dict(chosen.values)
    if min_s > 0:
        condition += " AND end_ms - start_ms >= $min_ms"
        values["min_ms"] = round(1000 * min_s)
    rows = f"(SELECT * FROM serving_utterances WHERE {condition})"
    if part is not Part.ANYWHERE:
        values["quarter"] = _QUARTERS[part]
        held = f"(SELECT corpus, recording_id, duration_ms FROM results WHERE {places(filters, corpora).sql})"
        rows = f"""(
            SELECT said.* FROM {rows} AS said JOIN {held} AS heard USING (corpus, recording_id)
            WHERE {QUARTER} = $quarter
        )"""
    return rows, values
