"""The list of recordings: ranked, drawn in small, each row the way to its recording at its worst moment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import streamlit as st

from dashboard.downloads import Export, What, offer
from dashboard.filter_bar import say_nothing_found
from dashboard.filters import Filters
from dashboard.links import recording_address
from dashboard.moments import Course, courses
from dashboard.numbers import clock, counted
from dashboard.page import Page
from dashboard.parts import choose_part
from dashboard.questions import recordings as questions
from dashboard.questions.recordings import Order
from dashboard.table_keys import table_key
from mmer_ray.tables import Row

PAGE_ROWS = 50
ORDER, PART = "order", "part"
RECORDING_PAGE = "pages/recording.py"


def show_recordings(page: Page, filters: Filters) -> None:
    """The page below its filters."""
    corpora = filters.scope(page.viewer, page.corpora)
    (felt,) = page.ask("Whether there is a valence", questions.has_valence(corpora)).to_pylist()
    (found,) = page.ask("How many fit", questions.how_many(filters, corpora)).to_pylist()
    number = found["num_recordings"]
    if not number:
        say_nothing_found(filters)
        return
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    order = _choose_order(right, has_valence=felt["has_valence"])
    left.markdown(f"**{counted(number, 'recording')}**, {order.value} first. A row opens its worst moment.")
    table = st.container()
    first = choose_part(number, PAGE_ROWS, PART) * PAGE_ROWS
    rows = page.ask("Recordings", questions.ranked(filters, corpora, order, PAGE_ROWS, first)).to_pylist()
    drawn = _courses(page, rows, filters)
    with table:
        name = f"recordings-{order.value}-{first}-{filters.to_address()}"
        key = table_key(name, ((row["corpus"], row["recording_id"]) for row in rows))
        columns = _columns(has_valence=felt["has_valence"], has_matches=filters.chooses_utterances)
        _show_table(rows, drawn, columns, key)
    offer(page, [Export(What.RECORDINGS, filters, order), Export(What.UTTERANCES, filters, order)])


def _choose_order(place: Any, *, has_valence: bool) -> Order:
    """Valence ranks where the models give one; the order is part of the address."""
    offered = [one for one in Order if has_valence or one is not Order.WORST]
    names = [one.value for one in offered]
    return Order(place.selectbox("Order", names, key=ORDER, bind="query-params"))


def _courses(page: Page, rows: Sequence[Row], filters: Filters) -> dict[tuple[str, str], Course]:
    corpora, ids = sorted({row["corpus"] for row in rows}), [row["recording_id"] for row in rows]
    said = page.ask("What was felt in them", questions.said_in(corpora, ids, [row["day"] for row in rows]))
    durations_ms = {(row["corpus"], row["recording_id"]): row["duration_ms"] for row in rows}
    return courses(said.to_pylist(), durations_ms, filters)


def _show_table(rows: Sequence[Row], drawn: dict[tuple[str, str], Course], columns: dict[str, Any], key: str) -> None:
    shown = [_shown(row, drawn.get((row["corpus"], row["recording_id"]))) for row in rows]
    event = st.dataframe(
        shown,
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        height="content",
        row_height=38,
        placeholder="",
        column_order=[name for name in columns if any(row[name] not in (None, "") for row in shown)],
        column_config=columns,
        alt="One row per recording; choose one to open it",
    )
    chosen = [*event["selection"]["rows"], *(cell[0] for cell in event["selection"].get("cells", ()))]
    if chosen and chosen[0] < len(rows):
        row = rows[chosen[0]]
        at_ms = _opens_at(row, drawn.get((row["corpus"], row["recording_id"])))
        st.switch_page(RECORDING_PAGE, query_params=recording_address(row["corpus"], row["recording_id"], at_ms))


def _opens_at(row: Row, course: Course | None) -> int | None:
    """The worst moment; where there is no anger the lowest valence."""
    worst = None if course is None else course.worst_start_ms
    return row["worst_window_start_ms"] if worst is None else worst


def _shown(row: Row, course: Course | None) -> Row:
    return {
        "Recording": PurePosixPath(row["uri"] or row["recording_id"]).name,
        "Course": list(course.parts) if course else [],
        "Negative": _percents(course),
        "Worst 30 s": row["worst_window_valence"],
        "Opens at": clock(_opens_at(row, course)),
        "Length": clock(row["duration_ms"]),
        "Speakers": row["num_speakers"],
        "Interruptions": row["interruptions"],
        "Matches": row.get("num_matches"),
        "Day": row["day"],
        "Corpus": row["corpus"],
        "Language": row["language"],
    }


def _percents(course: Course | None) -> float | None:
    return None if course is None or course.negative_share is None else 100 * course.negative_share


def _columns(*, has_valence: bool, has_matches: bool) -> dict[str, Any]:
    """The columns to show, in order; those without any value are left out besides."""
    config = st.column_config
    course = (
        config.LineChartColumn("Valence, begin to end", y_min=-1, y_max=1, width="medium")
        if has_valence
        else config.BarChartColumn("Negative speech, begin to end", y_min=0, y_max=1, width="medium")
    )
    worst = config.NumberColumn(
        format="%+.2f", help="The lowest mean valence of 30 s. The order trusts it less where little was said."
    )
    return {
        "Recording": config.TextColumn(width="medium"),
        "Course": course,
        "Negative": config.ProgressColumn(
            "Negative speech",
            format="%.0f %%",
            min_value=0,
            max_value=100,
            help="Of the seconds with an answer, of the roles and the confidence chosen above. The order trusts it "
            "less where little was said.",
        ),
        **({"Worst 30 s": worst} if has_valence else {}),
        "Opens at": config.TextColumn(help="Its worst moment: the 30 s with the most expected anger."),
        "Length": config.TextColumn(),
        "Speakers": config.NumberColumn(),
        "Interruptions": config.NumberColumn(help="Somebody takes the floor from who is still talking."),
        **({"Matches": config.NumberColumn(help="Utterances that fit the filters.")} if has_matches else {}),
        "Day": config.DateColumn(),
        "Corpus": config.TextColumn(),
        "Language": config.TextColumn(),
    }
