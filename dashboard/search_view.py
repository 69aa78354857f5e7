"""The search: which utterances fit, how they spread over time, each with its sound and the way to its recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from dashboard import charts
from dashboard.counts_chart import counts_over_time
from dashboard.downloads import Export, What, offer
from dashboard.felt import step_for
from dashboard.filter_bar import say_nothing_found
from dashboard.filters import Filters
from dashboard.hits.component import show_hits
from dashboard.hits.payload import contexts, hit_of, mark_of, sounds_of
from dashboard.numbers import counted
from dashboard.page import Page
from dashboard.parts import choose_part
from dashboard.questions import search as questions
from dashboard.questions.search import Order, Part
from mmer_ray.tables import Row

PAGE_HITS = 20
ORDER, PART, MIN_S, AROUND, HITS_PAGE = "sort", "where", "seconds", "around", "hits"
"""Names in the address, beside those of the filters."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked beside the filters."""

    part: Part
    min_s: float
    order: Order
    with_around: bool


def show_search(page: Page, filters: Filters) -> None:
    """The page below its filters."""
    wanted = _wanted()
    if not filters.chooses_utterances and wanted.part is Part.ANYWHERE and not wanted.min_s:
        st.info(
            "Type words that were said, or choose an emotion or a role above. Every utterance that fits is then listed "
            "here, to be read, heard and opened in its recording."
        )
        return
    corpora = filters.scope(page.viewer, page.corpora)
    days = page.ask("How many fit, by day", questions.by_day(filters, corpora, wanted.part, wanted.min_s)).to_pylist()
    number = sum(row["num_utterances"] for row in days)
    if not number:
        say_nothing_found(filters)
        return
    st.markdown(f"**{counted(number, 'utterance')}**, {wanted.order.value} first.")
    _show_over_time(days)
    place = st.container()
    first = choose_part(number, PAGE_HITS, HITS_PAGE) * PAGE_HITS
    asked = questions.hits(filters, corpora, wanted.part, wanted.min_s, wanted.order, PAGE_HITS, first)
    rows = page.ask("Utterances that fit", asked).to_pylist()
    with place:
        _show_rows(page, rows, filters.text, with_around=wanted.with_around)
    offer(page, [Export(What.UTTERANCES, filters, part=wanted.part, min_s=wanted.min_s)])


def _wanted() -> Wanted:
    with st.container(key="wanted"):
        where, long, order, around = st.columns([2, 2, 2, 2], vertical_alignment="bottom")
    part = where.selectbox("In the recording", [one.value for one in Part], key=PART, bind="query-params")
    min_s = long.number_input(
        "Seconds long, at least", min_value=0.0, max_value=30.0, value=0.0, step=1.0, format="%g", key=MIN_S,
        bind="query-params",
    )  # fmt: skip
    by = order.selectbox("Order", [one.value for one in Order], key=ORDER, bind="query-params")
    with_around = around.checkbox("Show what was said around it", value=True, key=AROUND, bind="query-params")
    return Wanted(Part(part), float(min_s), Order(by), with_around)


def _show_over_time(days: Sequence[Row]) -> None:
    dated = [row for row in days if row["day"] is not None]
    spans = {row["day"] for row in dated}
    if len(spans) < 2:
        return
    step = step_for((max(spans) - min(spans)).days + 1)
    charts.show(
        counts_over_time(dated, step.value), f"Utterances that fit, by {step.value} and emotion; {len(spans)} days"
    )


def _show_rows(page: Page, rows: Sequence[Row], needle: str, *, with_around: bool) -> None:
    sounds = sounds_of(page, rows)
    around = {}
    dated = [row for row in rows if row["day"] is not None]
    if with_around and dated:
        corpora, ids = sorted({row["corpus"] for row in dated}), sorted({row["recording_id"] for row in dated})
        said = page.ask("What was said around them", questions.around(corpora, ids, [row["day"] for row in dated]))
        around = contexts(rows, said.to_pylist())
    hits = [
        hit_of(
            row,
            sounds[row["corpus"], row["recording_id"]],
            [mark_of(row["label"], row["confidence"], row["skip_reason"])],
            needle,
            around.get((row["corpus"], row["recording_id"], row["utterance_idx"])),
        )
        for row in rows
    ]
    show_hits(hits, key="search-hits")
