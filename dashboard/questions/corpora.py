"""Which corpora, days, labels and roles a lake has."""

from __future__ import annotations

from dashboard.question import Question


def all_corpora() -> Question:
    """`corpus`: of all of the lake, sorted. Not for a viewer's eyes before `Viewer.of_lake`."""
    return Question.of("SELECT DISTINCT corpus FROM day_calls WHERE corpus IS NOT NULL ORDER BY corpus")


def choices(corpora: tuple[str, ...]) -> Question:
    """One row: `first_day`, `last_day`, `labels` of the viewer's corpora."""
    return Question.of(
        """
        SELECT (SELECT min(day) FROM day_calls WHERE list_contains($corpora, corpus)) AS first_day,
            (SELECT max(day) FROM day_calls WHERE list_contains($corpora, corpus)) AS last_day,
            (SELECT list(DISTINCT label ORDER BY label) FROM day_rollup
                WHERE list_contains($corpora, corpus) AND label IS NOT NULL) AS labels
        """,
        corpora=corpora,
    )


def facts(corpora: tuple[str, ...]) -> Question:
    """`corpus`, `legal_basis`, `notice_given`: null where it is not recorded."""
    return Question.of(
        "SELECT corpus, legal_basis, notice_given FROM corpus_facts WHERE list_contains($corpora, corpus)",
        corpora=corpora,
    )
