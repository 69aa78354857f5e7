"""What the overview shows: tiles, emotions over time and within calls, coverage, and each corpus with its facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa
import streamlit as st

from dashboard import charts, felt
from dashboard.corpus_table import show_corpora
from dashboard.filter_bar import say_nothing_found
from dashboard.filters import Filters
from dashboard.numbers import count_of, hours, percent, signed
from dashboard.page import Page
from dashboard.questions import overview as questions
from dashboard.tiles import Tile, show_tiles
from mmer_ray.tables import Row

REASONS = {
    "too_short": "too short to judge",
    "low_confidence": "the model was not sure enough",
    "policy": "not scored by policy",
    "not_scored": "not scored by the active model",
}

VALENCE = (
    "-1 bad .. 1 good, over utterances that have one: also over those whose emotion is too unsure to be named, unless "
    "they are left out above."
)
UNANSWERED = (
    "Of the utterances chosen above. The others: too short, not sure enough, not asked about by policy, not scored."
)
PLACES_ONLY = (
    "Of the corpora and days chosen above, whatever else is chosen. Audio that a corpus has twice counts once."
)


def show_overview(page: Page, filters: Filters) -> None:
    """The page below its filters."""
    corpora = filters.scope(page.viewer, page.corpora)
    now, rows = _totals(page, filters, corpora, "")
    if not now["num_files"]:
        say_nothing_found(filters)
        return
    earlier = filters.previous()
    before = None if earlier is None else _totals(page, earlier, corpora, " of as many days before")[0]
    show_tiles(tiles(now, before))
    _warn_of_failures(now)
    if now["num_utterances"]:
        _show_emotions(page, filters, corpora, now, rows)
    else:
        say_nothing_found(filters)
    _show_coverage(page, filters, corpora)
    show_corpora(page, filters, corpora)


def _totals(page: Page, filters: Filters, corpora: Sequence[str], when: str) -> tuple[Row, pa.Table]:
    """The figures of the tiles, and the rows that those of emotions are made of."""
    (held,) = page.ask(f"Recordings{when}", questions.held(filters, corpora)).to_pylist()
    rows = page.ask(f"Emotions{when}, by day, role and label", questions.felt(filters, corpora))
    return held | felt.totals(rows), rows


def tiles(now: Row, before: Row | None) -> list[Tile]:
    """The figures of what `_totals` gives."""
    old = before if before and before["num_files"] else None
    negative, was_negative = _share(now, "negative_ms"), _share(old, "negative_ms")
    found = [
        Tile("Recordings", count_of(now["num_recordings"]), PLACES_ONLY, _change(now, old, "num_recordings")),
        Tile("Audio", hours(now["duration_ms"]), PLACES_ONLY, _change(now, old, "duration_ms")),
        Tile("Speech", hours(now["speech_ms"]), "Of the utterances chosen above.", _change(now, old, "speech_ms")),
        Tile(
            "Negative speech",
            percent(negative),
            "Seconds labelled angry, sad, fear, disgust or contempt, of all seconds with an answer.",
            None if negative is None or was_negative is None else _moved(negative - was_negative, _points),
            is_bad_up=True,
        ),
    ]
    if now["valence"] is not None:
        change = None if old is None or old["valence"] is None else _moved(now["valence"] - old["valence"], signed)
        found.append(Tile("Mean valence", signed(now["valence"]), VALENCE, change, is_bad_up=False))
    else:
        found.append(
            Tile(
                "Mean confidence",
                percent(now["confidence"]),
                "Of the emotions named. This model gives no valence.",
            )
        )
    answered = now["num_answered"] / now["num_utterances"] if now["num_utterances"] else None
    found.append(Tile("Utterances answered", percent(answered), UNANSWERED))
    return found


def _share(row: Row | None, name: str) -> float | None:
    return row[name] / row["answered_ms"] if row and row["answered_ms"] else None


def _points(share: float) -> str:
    return f"{100 * share:+.1f} points"


def _moved(change: float, written: Callable[[float], str]) -> str | None:
    """A change in words; None for one that rounds to nothing, which is neither up nor down."""
    return written(change) if written(change).strip("+-") != written(0.0).strip("+-") else None


def _change(now: Row, before: Row | None, name: str) -> str | None:
    return _moved(now[name] / before[name] - 1, _by_percent) if before and before[name] else None


def _by_percent(change: float) -> str:
    return f"{100 * change:+.0f} %"


def _warn_of_failures(now: Row) -> None:
    if now["num_failed"]:
        st.warning(
            f"{count_of(now['num_failed'])} of {count_of(now['num_files'])} files could not be scored and are in no "
            "figure above. Why is under Coverage."
        )


def _show_emotions(page: Page, filters: Filters, corpora: Sequence[str], now: Row, rows: pa.Table) -> None:
    step = felt.step_for(now["num_days"] or 1)
    mix = felt.over_time(rows, step)
    left, right = st.columns([2, 1], gap="medium")
    with left:
        st.subheader(f"Emotions by {step.value}")
        charts.show(charts.mix_over_time(mix, step.value), _described_mix(mix))
    with right:
        if now["valence"] is not None:
            st.subheader("Valence within recordings")
            (row,) = page.ask("Valence by quarter", questions.valence_by_quarter(filters, corpora)).to_pylist()
            points = [(quarter, row[f"q{quarter}"]) for quarter in range(1, 5)]
            chart = charts.by_quarter(points, "Mean valence", is_share=False)
        else:
            st.subheader("Negative speech within recordings")
            found = page.ask("Negative speech by quarter", questions.negative_by_quarter(filters, corpora)).to_pylist()
            points = [(one["quarter"], one["share"]) for one in found]
            chart = charts.by_quarter(points, "Share of speech", is_share=True)
        charts.show(chart, f"By quarter of the recording: {points}")
    st.subheader("Emotions by role")
    charts.show(charts.by_role(felt.by_role(rows)), "Share of each emotion in the speech of each role")


def _described_mix(mix: pa.Table) -> str:
    """The chart in words, for who does not see it."""
    seconds = charts.seconds_by_label(mix)
    total = sum(seconds.values()) or 1
    parts = ", ".join(f"{label} {percent(one / total)}" for label, one in seconds.items())
    return f"Share of each emotion in the speech over time. All in all: {parts}"


def _show_coverage(page: Page, filters: Filters, corpora: Sequence[str]) -> None:
    silent = page.ask("Utterances without an answer", questions.without_answer(filters, corpora)).to_pylist()
    failed = page.ask("Failures", questions.failures(filters, corpora))
    if not silent and not failed.num_rows:
        return
    st.subheader("Coverage")
    if filters.chooses_utterances:
        st.caption("Of the corpora and days chosen above, whatever else is chosen.")
    left, right = st.columns(2, gap="medium")
    if silent:
        left.dataframe(
            {
                "Utterances without an emotion": [REASONS.get(one["reason"], one["reason"]) for one in silent],
                "Number": [one["num_utterances"] for one in silent],
            },
            hide_index=True,
        )
    if failed.num_rows:
        right.dataframe(
            failed,
            hide_index=True,
            column_config={
                "error_code": "Files that failed", "error_stage": "In stage", "num_recordings": "Number",
                "claimed_s": st.column_config.NumberColumn("Seconds they claim", format="%.0f"),
            },
        )  # fmt: skip
