"""Each corpus with what must be known of it: how much, which model, on what legal basis, whether people were told."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.filters import Filters
from dashboard.page import Page
from dashboard.questions import corpora as known
from dashboard.questions import overview as questions
from mmer_ray.tables import Row

MISSING = "⚠ not recorded"
NOT_TOLD = "⚠ no"


def show_corpora(page: Page, filters: Filters, corpora: Sequence[str]) -> None:
    """A table of the corpora, and a warning where something must be recorded."""
    rows = page.ask("Corpora", questions.by_corpus(filters, corpora)).to_pylist()
    facts = {row["corpus"]: row for row in _facts(page, corpora)}
    st.subheader("Corpora")
    shown = [_shown(row, facts.get(row["corpus"])) for row in rows]
    st.dataframe(
        shown,
        hide_index=True,
        column_config={
            "Hours": st.column_config.NumberColumn(format="%.1f"),
            "Failed": st.column_config.NumberColumn(format="localized"),
            "Recordings": st.column_config.NumberColumn(format="localized"),
        },
        alt="One row per corpus: recordings, hours, days, model, legal basis, whether people were told",
    )
    missing = [one["Corpus"] for one in shown if MISSING in (one["Legal basis"], one["People were told"])]
    untold = [one["Corpus"] for one in shown if one["People were told"] == NOT_TOLD]
    if missing or untold:
        st.warning(
            "Emotion recognition must be told to the people it concerns (EU AI Act, Art. 50(3), since 2026-08-02), and "
            "needs a legal basis. For some corpora above this is not recorded or was not done; whoever runs the lake "
            "records it with `mmer lake corpus`."
        )


def _facts(page: Page, corpora: Sequence[str]) -> list[Row]:
    """What is stated of the corpora."""
    return page.ask("Facts of the corpora", known.facts(tuple(corpora))).to_pylist()


def _shown(row: Row, facts: Row | None) -> Row:
    basis, told = (facts or {}).get("legal_basis"), (facts or {}).get("notice_given")
    return {
        "Corpus": row["corpus"],
        "Recordings": row["num_recordings"],
        "Hours": row["duration_ms"] / 3_600_000,
        "Failed": row["num_failed"],
        "First day": row["first_day"],
        "Last day": row["last_day"],
        "Emotion model": row["scorer"] or "none yet",
        "Legal basis": basis or MISSING,
        "People were told": MISSING if told is None else ("yes" if told else NOT_TOLD),
    }
