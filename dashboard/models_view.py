"""The models: which answer in this lake, which a registry holds, and how well each does on people it has not heard."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard import charts, model_charts
from dashboard.confusion_chart import confusion
from dashboard.model_facts import (
    MEANINGS,
    calibration_words,
    compared,
    conditions,
    corpus_of,
    gate_words,
    groups,
    listed,
    title_of,
    with_interval,
)
from dashboard.page import Page
from dashboard.palette import in_order
from dashboard.questions.method import models as models_in_use
from dashboard.questions.models import answers_by_model
from dashboard.tiles import Tile, show_tiles
from mmer_ray.errors import MmerError
from mmer_ray.models.registered import REGISTRY_VARIABLE
from mmer_ray.tables import Row
from mmer_ray.training.evaluation.result import Calibration, Evaluation, Measure
from mmer_ray.training.registry.entry import RegisteredModel
from mmer_ray.training.registry.reading import RegisteredModels

MODEL = "registered"
"""Name in the address."""
SHOWN_FIRST = ("ua", "wa", "macro_f1", "ece", "ccc_valence", "ccc_arousal", "ccc_dominance")
UNANSWERED = "The others: too short, not sure enough, or not asked about by policy."
MARKS = {"calibrated": "green", "not calibrated": "red", "too few": "gray", "not fitted": "gray"}


def show_models(page: Page) -> None:
    """The whole page."""
    followed = page.ask("Models in use", models_in_use(page.corpora)).to_pylist()
    st.subheader("In this lake")
    answered = page.ask("How they have answered", answers_by_model(page.corpora)).to_pylist()
    _show_answers(answered, followed)
    st.subheader("Registry")
    registry = RegisteredModels()
    try:
        models, active = registry.models(), registry.active()
    except MmerError as exc:
        st.error("The registry cannot be read. Restore the file named here, or remove its folder.")
        st.text(str(exc))
        return
    if not models:
        _say_empty()
        return
    _show_list(page, models, active, followed)
    _show_one(page, registry, models, active)


def _show_answers(answered: Sequence[Row], followed: Sequence[Row]) -> None:
    since = {row["corpus"]: row["activated_at"] for row in followed}
    st.dataframe(
        [
            {
                "Corpus": row["corpus"],
                "Model": row["scorer"] or "not scored",
                "In use since (UTC)": _naive(since.get(row["corpus"])) if row["scorer"] else None,
                "Utterances": row["num_utterances"],
                "Answered": 100 * row["num_answered"] / row["num_utterances"] if row["num_utterances"] else None,
                "Mean confidence": None if row["confidence"] is None else 100 * row["confidence"],
            }
            for row in answered
        ],
        hide_index=True,
        column_config={
            "In use since (UTC)": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
            "Utterances": st.column_config.NumberColumn(format="localized"),
            "Answered": st.column_config.ProgressColumn(format="%.1f %%", min_value=0, max_value=100, help=UNANSWERED),
            "Mean confidence": st.column_config.NumberColumn(format="%.1f %%", help="Of what is answered."),
        },
        alt="The model that each corpus follows, and how it has answered",
    )


def _naive(when: object) -> object:
    """Without its time zone: the column says that it is UTC."""
    return when.replace(tzinfo=None) if hasattr(when, "replace") else None


def _say_empty() -> None:
    st.info("The registry of this machine holds no model yet.")
    st.caption(
        "`mmer train` trains one and tests it on people whom it has not heard; `mmer models promote RUN --floor 0.6` "
        f"registers it where it passes the gate. Another registry: set `{REGISTRY_VARIABLE}` for `mmer dashboard`."
    )


def _show_list(page: Page, models: Sequence[RegisteredModel], active: str | None, followed: Sequence[Row]) -> None:
    st.dataframe(
        listed(models, active, followed, page.viewer),
        hide_index=True,
        placeholder="",
        column_config={
            name: st.column_config.NumberColumn(format="%.3f", help=MEANINGS[name.lower()])
            for name in ("UA", "WA", "ECE")
        },
        alt="One row per registered model, newest first",
    )
    measured = [(one.name, one.metrics["ua"], one.name == active) for one in reversed(models) if "ua" in one.metrics]
    if len(measured) > 1:
        gate = models[-1].verdict.gate
        floor = gate.floor if gate.metric == "ua" else None
        words = "; ".join(f"{name} {with_interval(one)}" for name, one, _ in measured)
        charts.show(model_charts.forest(measured, title_of("ua"), floor), f"UA of each model, newest first: {words}")
        st.caption("Each on its own test data: compare only models that were tested on the same utterances.")


def _show_one(page: Page, registry: RegisteredModels, models: Sequence[RegisteredModel], active: str | None) -> None:
    names = [one.name for one in reversed(models)]
    default = names.index(active) if active in names else 0
    chosen = st.selectbox("Report of", names, default, key=MODEL, bind="query-params", width=420)
    model = next(one for one in models if one.name == chosen)
    with st.expander("What the gate asked and found", expanded=bool(model.verdict.reasons)):
        st.text("\n".join(gate_words(model)))
    try:
        found = registry.evaluation(model.name)
    except MmerError as exc:
        st.error("The report of this model cannot be read. Promote it again from its run.")
        st.text(str(exc))
        return
    _show_report(found, may_name=corpus_of(model, page.viewer) == model.data.corpus)


def _show_report(found: Evaluation, *, may_name: bool) -> None:
    show_tiles([_tile(name, found.metrics[name]) for name in SHOWN_FIRST if name in found.metrics])
    st.text("\n".join(conditions(found, may_name=may_name)))
    _show_classes(found)
    if found.calibration is not None:
        _show_calibration(found.calibration)
    _show_tables(found)


def _tile(name: str, one: Measure) -> Tile:
    interval = None if one.low is None else f"95 %: {one.low:.3f} to {one.high:.3f}"
    return Tile(title_of(name), f"{one.value:.3f}", MEANINGS.get(name), beside=interval)


def _show_classes(found: Evaluation) -> None:
    if not found.recall:
        return
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.subheader("Recall of each class")
        words = "; ".join(f"{label} {with_interval(one)}" for label, one in found.recall.items())
        charts.show(model_charts.recalls(found.recall), f"Recall of each class with its 95 % interval: {words}")
    if not found.confusion:
        return
    with right:
        st.subheader("Confusion")
        columns = in_order(list(found.labels))
        at = [found.labels.index(one) for one in columns]
        counts = {columns[row]: [found.confusion[place][column] for column in at] for row, place in enumerate(at)}
        counts = {label: line for label, line in counts.items() if sum(line)}
        words = "; ".join(f"{label}: {line}" for label, line in counts.items())
        spec = confusion([*counts], columns, [*counts.values()], "Truth", "Answer")
        charts.show(spec, f"Answers by truth, columns {', '.join(columns)}: {words}")


def _show_calibration(found: Calibration) -> None:
    st.subheader("Calibration")
    st.badge(found.verdict, color=MARKS[found.verdict])  # type: ignore[arg-type]
    st.text(calibration_words(found))
    if not found.bins:
        return
    words = "; ".join(f"{one.confidence:.2f} said, {one.accuracy:.2f} right" for one in found.bins)
    left, right = st.columns([3, 2], gap="large")
    with left:
        charts.show(model_charts.reliability(found.bins), f"Share that is right by confidence: {words}")
    if found.temperatures:
        right.dataframe(
            [{"Fold": name, "Temperature": value} for name, value in found.temperatures.items()],
            hide_index=True,
            column_config={"Temperature": st.column_config.NumberColumn(format="%.3f")},
            alt="The temperature that was fitted for each fold",
        )


def _show_tables(found: Evaluation) -> None:
    if found.compared:
        st.subheader("On the same utterances")
        st.dataframe(
            compared(found),
            hide_index=True,
            placeholder="",
            column_config={"p": st.column_config.NumberColumn(format="%.3f", help="Paired bootstrap, two-sided.")},
            alt="This model beside others on the same utterances",
        )
    if found.groups:
        st.subheader("Parts of the test set")
        st.dataframe(groups(found), hide_index=True, placeholder="", alt="The figures of parts of the test utterances")
    with st.expander("All figures"):
        st.dataframe(
            [{"Measure": title_of(name), "Value [95 %]": with_interval(one)} for name, one in found.metrics.items()],
            hide_index=True,
            alt="All measures with their intervals",
        )
