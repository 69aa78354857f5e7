"""What the page on method asks: which models answer, and as of when."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.question import Question


def models(corpora: Sequence[str]) -> Question:
    """`corpus`, `scorer`, `activated_at`: the emotion model that each corpus follows."""
    return Question.of(
        """
        SELECT corpus, scorer, activated_at FROM active_scorers
        WHERE list_contains($corpora, corpus) ORDER BY corpus
        """,
        corpora=tuple(corpora),
    )


def newest_commit() -> Question:
    """One row: `sequence` and `committed_at` of the newest commit; null in an empty lake."""
    return Question.of("SELECT max(sequence) AS sequence, max(committed_at) AS committed_at FROM commits")
