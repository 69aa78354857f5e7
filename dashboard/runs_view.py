"""The runs: the ledger as a picture, when they ran and how fast, what failed and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from statistics import median
from typing import Any

import streamlit as st

from dashboard import charts, run_charts
from dashboard.drift_view import show_drift
from dashboard.filters import Filters
from dashboard.numbers import count_of, hours
from dashboard.page import Page
from dashboard.questions import overview
from dashboard.questions import runs as questions
from dashboard.run_facts import Part, gap_s, names_of, parts_now, parts_of_run, speed, stage_seconds, status_of
from dashboard.table_keys import table_key
from dashboard.tiles import Tile, show_tiles
from mmer_ray.errors import RETRYABLE
from mmer_ray.lake.ledger import TOLERANCE_S
from mmer_ray.tables import Row

RUN = "ledger"
"""Name in the address."""
MAX_RUNS, MAX_FAILED = 60, 200
ALL_OF_IT = "all that is chosen above"


def show_runs(page: Page, filters: Filters) -> None:
    """The page below its filters."""
    corpora = filters.scope(page.viewer, page.corpora)
    sees_all = page.viewer.corpora is None
    asked = questions.runs(filters, corpora, theirs=None if sees_all else page.corpora, limit=MAX_RUNS)
    runs = page.ask("Runs", asked).to_pylist()
    (now,) = page.ask("What became of the files", questions.ledger(filters, corpora)).to_pylist()
    _show_tiles(runs, now)
    if filters.chooses_utterances:
        st.caption("This page follows the corpora and days chosen above alone.")
    names = names_of({run["run_id"]: run["started_at"] for run in runs})
    _show_ledger(runs, now)
    if runs:
        _show_times(page, runs, names)
        _show_speeds(runs, names)
    else:
        _say_no_runs(filters, sees_all=sees_all)
    _show_failures(page, filters, corpora, now)
    if runs:
        _show_table(runs, with_details=sees_all)
    # Last: it reads more than all the rest.
    show_drift(page, filters, corpora)


def _say_no_runs(filters: Filters, *, sees_all: bool) -> None:
    if filters.corpora or filters.first_day:
        st.info("No run fits: clear the corpora and days above. Runs are those that scored what is chosen there.")
    elif sees_all:
        st.info("No run is recorded in this lake. `mmer score FOLDER --lake DIR` makes one, with its ledger.")
    else:
        st.info("No run is yours to see: runs that scored other corpora too are not shown to you.")


def _show_tiles(runs: Sequence[Row], now: Row) -> None:
    speeds = [one for one in map(speed, runs) if one is not None]
    tiles = [
        Tile("Runs", count_of(len(runs)) + ("+" if len(runs) == MAX_RUNS else ""), "The newest ones that fit."),
        Tile("Files scored", count_of(now["num_scored"]), "Of the corpora and days chosen, as they stand now."),
        Tile("Copies among them", count_of(now["num_copies"]), "Files with bytes that were known: no model ran."),
        Tile("Files that failed", count_of(now["num_failed"]), "They are in no figure of the other pages."),
        Tile("Audio", hours(now["scored_ms"]), "Of the files scored, copies counted."),
        Tile(
            "Median speed",
            f"{median(speeds):,.1f}\N{MULTIPLICATION SIGN}" if speeds else "-",
            "Hours of audio per hour on the clock, over the runs shown.",
        ),
    ]
    show_tiles(tiles)


def _show_ledger(runs: Sequence[Row], now: Row) -> None:
    st.subheader("Ledger")
    closed = {run["run_id"]: run for run in runs if run["planned_ms"] is not None}
    chosen = st.selectbox("Ledger of", [ALL_OF_IT, *closed], key=RUN, bind="query-params", width=420)
    run = closed.get(chosen)
    parts = parts_now(now) if run is None else parts_of_run(run)
    if not any(one.milliseconds for one in parts):
        st.caption("No second of audio is accounted for here.")
        return
    charts.show(run_charts.ledger(parts), _in_words(parts))
    st.text(_in_words(parts))
    gap = gap_s(parts, None if run is None else run["planned_ms"])
    if gap <= TOLERANCE_S:
        st.caption("The ledger sums: every second is accounted for.")
    else:
        st.error(f"The ledger does not sum: {gap:,.1f} s are missing. `mmer lake verify` says what is wrong.")


def _in_words(parts: Sequence[Part]) -> str:
    lines = []
    for whole in ("planned", "scored"):
        found = [one for one in parts if one.whole == whole and (one.milliseconds or one.name in ("scored", "speech"))]
        total = _amount(sum(one.milliseconds for one in found))
        lines.append(f"{whole} {total} = " + " + ".join(f"{one.name} {_amount(one.milliseconds)}" for one in found))
    return "\n".join(lines)


def _amount(milliseconds: int) -> str:
    """Exact enough to be added up."""
    if milliseconds < run_charts.MANY_MS:
        return f"{milliseconds / 60_000:,.2f} min"
    return f"{milliseconds / 3_600_000:,.3f} h"


def _show_times(page: Page, runs: Sequence[Row], names: Mapping[str, str]) -> None:
    st.subheader("When runs ran")
    commits = page.ask("Commits", questions.commits([run["run_id"] for run in runs])).to_pylist()
    words = "; ".join(f"{names[run['run_id']]} {status_of(run)}" for run in runs)
    charts.show(run_charts.gantt(runs, commits, names), f"From start to end of each run: {words}")
    if any(run["status"] == "started" for run in runs):
        st.caption(
            "A run without an end is still at work or was killed. The same command again takes it up where it stopped."
        )


def _show_speeds(runs: Sequence[Row], names: Mapping[str, str]) -> None:
    left, right = st.columns(2, gap="large")
    timed = [run for run in runs if speed(run) is not None]
    if not timed:
        st.caption("No run here tells how long it took.")
        return
    with left:
        st.subheader("Throughput")
        words = "; ".join(f"{names[run['run_id']]} {speed(run):.1f}" for run in timed)
        charts.show(run_charts.speeds(timed, names), f"Hours of audio per hour on the clock: {words}")
    with right:
        st.subheader("Seconds per stage")
        staged = [run for run in timed if stage_seconds(run)]
        if not staged:
            st.caption("No run here tells where its seconds went.")
            return
        charts.show(run_charts.stages(staged, names), "Seconds that processes spent in each stage per hour of audio")
        st.caption("Of all processes together; copies of known audio take none.")


def _show_failures(page: Page, filters: Filters, corpora: Sequence[str], now: Row) -> None:
    st.subheader("Failures")
    if not now["num_failed"]:
        st.caption("No file of what is chosen above has failed.")
        return
    found = page.ask("Failures by code", overview.failures(filters, corpora)).to_pylist()
    shown = [
        {
            "Code": row["error_code"],
            "In stage": row["error_stage"],
            "Files": row["num_recordings"],
            "Share of files": 100 * row["num_recordings"] / now["num_files"],
            "Seconds they claim": row["claimed_s"],
            "What to do": _remedy(row["error_code"]),
        }
        for row in found
    ]
    config = st.column_config
    st.dataframe(
        shown,
        hide_index=True,
        column_config={
            "Share of files": config.ProgressColumn(format="%.1f %%", min_value=0, max_value=100),
            "Seconds they claim": config.NumberColumn(format="%.0f"),
            "What to do": config.TextColumn(width="large"),
        },
        alt="Failures by code: number of files, share, and what to do",
    )
    with st.expander(f"The files that failed (at most {MAX_FAILED})"):
        files = page.ask("Files that failed", questions.failed_files(filters, corpora, MAX_FAILED)).to_pylist()
        st.dataframe([_failed(row) for row in files], hide_index=True, alt="One row per file that failed")


def _remedy(code: str) -> str:
    if code in RETRYABLE:
        return f"May pass: mmer retry --code {code}"
    return "Lies in the file: it fails again until the file is replaced"


def _failed(row: Row) -> Row:
    return {
        "File": PurePosixPath(row["uri"] or "").name,
        "Code": row["error_code"],
        "In stage": row["error_stage"],
        "Message": row["error_message"],
        "Attempts": row["attempts"],
        "Day": row["day"],
        "Corpus": row["corpus"],
        "Run": row["run_id"],
    }


def _show_table(runs: Sequence[Row], *, with_details: bool) -> None:
    st.subheader("Runs")
    config = st.column_config
    event: Any = st.dataframe(
        [_shown(run) for run in runs],
        hide_index=True,
        key=table_key("runs", (run["run_id"] for run in runs)),
        on_select="rerun" if with_details else "ignore",
        selection_mode="single-row",
        column_config={
            "Started (UTC)": config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss"),
            "Seconds": config.NumberColumn(format="%.1f", help="On the clock."),
            "Speed": config.NumberColumn(format="%.1f\N{MULTIPLICATION SIGN}", help="Hours of audio per hour."),
            **{name: config.NumberColumn(format="localized") for name in ("Planned", "Scored", "Failed", "Utterances")},
        },
        alt="One row per run, newest first",
    )
    if not with_details:
        return
    chosen = event["selection"]["rows"]
    if chosen and chosen[0] < len(runs):
        _show_details(runs[chosen[0]])
    else:
        st.caption("Choose a run to see its versions, models and options.")


def _shown(run: Row) -> Row:
    return {
        "Started (UTC)": run["started_at"].replace(tzinfo=None),
        "Status": status_of(run),
        "Profile": run["profile"],
        "Planned": run["num_planned"],
        "Scored": run["num_scored"],
        "Failed": run["num_failed"],
        "Not reached": run["num_unreached"],
        "Utterances": run["num_utterances"],
        "Seconds": run["wall_s"],
        "Speed": speed(run),
        "Run": run["run_id"],
        "Revision": (run["git_revision"] or "")[:12],
    }


def _show_details(run: Row) -> None:
    left, right = st.columns(2, gap="medium")
    for place, title, pairs in (
        (left, "Versions", run["versions"] or ()),
        (right, "Digests of the models", run["model_digests"] or ()),
    ):
        place.dataframe([{title: name, "": value} for name, value in pairs] or [{title: "none"}], hide_index=True)
    with st.expander("Options of the profile"):
        st.code(run["options"] or "{}", language="json", wrap_lines=True)
