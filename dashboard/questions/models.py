"""What the page on models asks of the lake: how each model has answered."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.question import Question


def answers_by_model(corpora: Sequence[str]) -> Question:
    """`corpus`, `scorer` (null: not scored), `num_utterances`, `num_answered`, `confidence` (mean of
    what is answered): the answers of the model that each corpus follows."""
    return Question.of(
        """
        SELECT corpus, scorer, sum(num_utterances)::BIGINT AS num_utterances,
            coalesce(sum(num_utterances) FILTER (label IS NOT NULL), 0)::BIGINT AS num_answered,
            sum(confidence_sum) FILTER (label IS NOT NULL)
                / nullif(sum(num_confidence) FILTER (label IS NOT NULL), 0) AS confidence
        FROM day_rollup WHERE list_contains($corpora, corpus) GROUP BY ALL ORDER BY corpus, scorer
        """,
        corpora=tuple(corpora),
    )
