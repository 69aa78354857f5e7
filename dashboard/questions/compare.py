"""What the comparison asks: which models have answered, and how two of them answered about the same utterances."""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dashboard.filters import Filters
from dashboard.question import Question, Value
from dashboard.questions.chosen import Chosen, places, utterances
from mmer_ray.lake.comparison import statements


def scorers(corpora: Sequence[str]) -> Question:
    """`scorer`: those with an answer about these corpora, sorted."""
    return Question.of(
        "SELECT DISTINCT scorer FROM emotions WHERE list_contains($corpora, corpus) ORDER BY scorer",
        corpora=tuple(corpora),
    )


def cells(filters: Filters, corpora: Sequence[str], first: str, second: str) -> Question:
    """The rows of `comparison.Statements.cells`, of the utterances that fit."""
    chosen = _answers(filters, corpora)
    return Question.of(statements(chosen.sql).cells, first=first, second=second, **chosen.values)


def shifts(filters: Filters, corpora: Sequence[str], first: str, second: str) -> Question:
    """The row of `comparison.Statements.shifts`, of the utterances that fit."""
    chosen = _answers(filters, corpora)
    return Question.of(statements(chosen.sql).shifts, first=first, second=second, **chosen.values)


def furthest(filters: Filters, corpora: Sequence[str], first: str, second: str, limit: int) -> Question:
    """The rows of `comparison.Statements.furthest`, of the utterances that fit."""
    chosen = _answers(filters, corpora)
    return Question.of(statements(chosen.sql).furthest, first=first, second=second, limit=limit, **chosen.values)


def shown(corpora: Sequence[str], recording_ids: Sequence[str], indices: Sequence[int]) -> Question:
    """What a list shows of some utterances, the first of `recording_ids` with the first of `indices` and so on: the
    columns of `questions.search.hits` but for emotions."""
    return Question.of(
        """
        WITH wanted AS (SELECT unnest($recording_ids) AS recording_id, unnest($indices) AS utterance_idx),
        said AS (
            SELECT corpus, recording_id, utterance_idx, day, start_ms, end_ms, speaker, speaker_name, role, text
            FROM serving_utterances SEMI JOIN wanted USING (recording_id, utterance_idx)
            WHERE list_contains($corpora, corpus)
        )
        SELECT said.*, uri, size_bytes, container, channels, duration_ms FROM said LEFT JOIN (
            SELECT * FROM recordings SEMI JOIN said USING (corpus, recording_id) WHERE status = 'scored'
            QUALIFY row_number() OVER (PARTITION BY corpus, recording_id ORDER BY is_copy, uri) = 1
        ) AS file USING (corpus, recording_id)
        """,
        corpora=tuple(corpora),
        recording_ids=tuple(recording_ids),
        indices=tuple(indices),
    )


def _answers(filters: Filters, corpora: Sequence[str]) -> Chosen:
    """The answers about utterances that fit, as a condition on `emotions`. Emotions and confidence are those of the
    active model; what one of the two has not answered stays in, whatever the active one says."""
    place = places(filters, corpora)
    if not filters.chooses_utterances:
        return place
    chosen = utterances(replace(filters, abstained=True), corpora)
    values: dict[str, Value] = {**place.values, **chosen.values}
    fitting = f"SELECT corpus, recording_id, utterance_idx FROM serving_utterances WHERE {chosen.sql}"
    return Chosen(f"{place.sql} AND (corpus, recording_id, utterance_idx) IN ({fitting})", values)
