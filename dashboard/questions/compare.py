"""What the comparison asks: which models have answered, and how two of them answered about the same utterances."""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dashboard.filters import Filters
from dashboard.question import Question
from dashboard.questions.chosen import places, utterances
from dashboard.withheld import POLICY
from mmer_ray.lake.comparison import asked_scorers, statement


def scorers(corpora: Sequence[str]) -> Question:
    """`scorer`: those that were asked about these corpora, sorted."""
    return Question.of(asked_scorers("list_contains($corpora, corpus)"), corpora=tuple(corpora))


def compared(filters: Filters, corpora: Sequence[str], first: str, second: str, limit: int) -> Question:
    """The rows of `comparison.statement`, of the utterances that fit.

    Emotions and confidence are those of the active model; what one of the two has not answered stays in, whatever the
    active one says.
    """
    place = places(filters, corpora)
    # Also where neither of the two is the model that is in use.
    withheld = f"SELECT {_PLACE} FROM serving_utterances WHERE skip_reason = '{POLICY}' AND {place.sql}"
    values, fitting = place.values, None
    if filters.chooses_utterances:
        chosen = utterances(replace(filters, abstained=True), corpora)
        fitting = f"SELECT {_PLACE} FROM serving_utterances WHERE {chosen.sql}"
        values = {**values, **chosen.values}
    asked = statement(place.sql, fitting, withheld)
    return replace(Question.of(asked, first=first, second=second, limit=limit, **values), is_large=True)


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


_PLACE = "corpus, recording_id, utterance_idx"
