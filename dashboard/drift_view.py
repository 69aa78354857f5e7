"""Whether a model's answers have drifted, run after run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum

import streamlit as st

from dashboard import charts, run_charts
from dashboard.filters import Filters
from dashboard.page import Page
from dashboard.questions import runs as questions
from dashboard.questions.compare import scorers
from dashboard.questions.method import models
from dashboard.run_facts import names_of
from mmer_ray.errors import UsageError
from mmer_ray.lake.drift import Answers, answers_of, drift_of
from mmer_ray.tables import Row
from mmer_ray.training.evaluation.drift import MIN_ANSWERS, Drift

MODEL, AGAINST = "model", "against"
"""Names in the address."""
MAX_RUNS = 30
RUN_TIME = "%Y%m%dT%H%M%S"


class Against(StrEnum):
    """What a run is compared with."""

    BEFORE = "the run before"
    FIRST = "the first run shown"


def show_drift(page: Page, filters: Filters, corpora: Sequence[str]) -> None:
    """A line per quantity over the runs, and the runs that have drifted in a table."""
    st.subheader("Drift from run to run")
    names = [row["scorer"] for row in page.ask("Models that have answered", scorers(corpora)).to_pylist()]
    if not names:
        st.caption("No model has answered about what is chosen above.")
        return
    used = [row["scorer"] for row in page.ask("Models in use", models(corpora)).to_pylist()]
    left, right = st.columns(2)
    default = next((names.index(one) for one in used if one in names), 0)
    scorer = left.selectbox("Answers of", names, default, key=MODEL, bind="query-params")
    against = right.selectbox("Compared with", [one.value for one in Against], key=AGAINST, bind="query-params")
    try:
        answers = _answers(page, filters, corpora, scorer)
    except UsageError as exc:
        st.warning("These runs hold too many answers to be compared at once. Choose fewer days or corpora above.")
        st.text(str(exc))
        return
    found = drifts(answers, Against(against))
    if not found:
        st.info("Drift needs answers of two runs. Score another night, or clear the corpora and days above.")
        return
    called = run_names(list(found))
    found = {called[run]: some for run, some in found.items()}
    order = list(found)
    words = "; ".join(f"{run}: " + ", ".join(f"{one.quantity} {one.psi:.3f}" for one in found[run]) for run in order)
    charts.show(run_charts.drift(found, order), f"Population stability index of each run: {words}")
    _show_verdicts(found)


def _answers(page: Page, filters: Filters, corpora: Sequence[str], scorer: str) -> dict[str, Answers]:
    """Run -> what was answered in it, the oldest first."""
    asked = questions.answering_runs(filters, corpora, scorer, MAX_RUNS)
    runs = [row["run_id"] for row in page.ask("Runs in which the model answered", asked).to_pylist()]
    if not runs:
        return {}
    found = answers_of(page.ask("What it answered in each", questions.answers(filters, corpora, scorer, runs)))
    return {run: found[run] for run in reversed(runs) if run in found}


def drifts(answers: Mapping[str, Answers], against: Against) -> dict[str, list[Drift]]:
    """Run id -> its drift; `answers` in order of time. The first run has none."""
    runs = list(answers)
    found = {}
    for place in range(1, len(runs)):
        before = runs[0] if against is Against.FIRST else runs[place - 1]
        found[runs[place]] = drift_of(answers[before], answers[runs[place]])
    return found


def run_names(run_ids: Sequence[str]) -> dict[str, str]:
    """Run id -> what an axis calls it; the ids themselves where one tells no time."""
    try:
        started = {one: datetime.strptime(one[:15], RUN_TIME).replace(tzinfo=UTC) for one in run_ids}
    except ValueError:
        return {one: one for one in run_ids}
    return names_of(started)


def _show_verdicts(found: Mapping[str, Sequence[Drift]]) -> None:
    moved = [_shown(run, one) for run, some in found.items() for one in some if "drift" in one.verdict]
    few = any(one.verdict == "too few" for some in found.values() for one in some)
    if moved:
        st.warning("Some answers have drifted: the recordings have changed, or the model has. Listen to some of them.")
        st.dataframe(
            list(reversed(moved)),
            hide_index=True,
            column_config={
                "PSI": st.column_config.NumberColumn(format="%.3f"),
                "95 % of chance below": st.column_config.NumberColumn(format="%.3f"),
            },
            alt="The runs and quantities that have drifted, newest first",
        )
    elif not few:
        st.caption("No run has drifted.")
    if few:
        st.caption(f"Hollow points: too few answers to judge, {MIN_ANSWERS} of each run are needed.")


def _shown(run: str, one: Drift) -> Row:
    return {
        "Run": run,
        "Quantity": one.quantity,
        "Verdict": one.verdict,
        "PSI": one.psi,
        "95 % of chance below": one.by_chance,
        "Answers before": one.num_before,
        "Answers": one.num_after,
    }
