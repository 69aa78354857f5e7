"""The filters as widgets, the same on every page, bound to the page's address."""

from __future__ import annotations

from datetime import date
from urllib.parse import parse_qs

import streamlit as st

from dashboard.filters import (
    ABSTAINED,
    CONFIDENCE,
    CORPUS,
    DAYS,
    LABEL,
    MAX_TEXT_CHARS,
    ROLE,
    ROLES,
    TEXT,
    Filters,
    unheeded,
)
from dashboard.page import Page
from dashboard.palette import in_order
from dashboard.questions.corpora import choices

KEYS = (CORPUS, DAYS, LABEL, ROLE, CONFIDENCE, TEXT, ABSTAINED)
_LAST = "filters of the last page"


def filter_bar(page: Page) -> Filters:
    """Show the widgets; what is chosen in them."""
    _carry_over(page)
    (offered,) = page.ask("Corpora, days and emotions to choose from", choices(page.corpora)).to_pylist()
    labels = in_order(offered["labels"] or [])
    # Before the widgets: they take out of the address what they do not know.
    address = {key: st.query_params.get_all(key) for key in KEYS}
    _say_left_out(unheeded(address, (offered["first_day"], offered["last_day"]), labels))
    with st.container(border=True, key="filters"):
        where, when, felt, who, said, more = st.columns([2.3, 3.4, 2.7, 2.7, 2.4, 1.5], vertical_alignment="bottom")
        corpora = where.multiselect(
            "Corpora", page.corpora, key=CORPUS, bind="query-params", placeholder="All", filter_mode="contains"
        )
        days = when.date_input(
            "Days",
            value=[],
            min_value=offered["first_day"],
            max_value=offered["last_day"],
            key=DAYS,
            bind="query-params",
            format="YYYY-MM-DD",
        )
        chosen = felt.multiselect("Emotions", labels, key=LABEL, bind="query-params", placeholder="All")
        roles = who.multiselect("Roles", ROLES, key=ROLE, bind="query-params", placeholder="All")
        text = said.text_input("Words said", key=TEXT, bind="query-params", placeholder="Any", max_chars=MAX_TEXT_CHARS)
        with more.popover("More", width="stretch"):
            confidence = st.slider(
                "Confidence of the emotion, at least", 0.0, 1.0, 0.0, 0.05, key=CONFIDENCE, bind="query-params"
            )
            abstained = st.checkbox(
                "Include utterances without an answer", value=True, key=ABSTAINED, bind="query-params"
            )
    first, last = _span(days)
    filters = Filters(
        tuple(corpora), first, last, tuple(chosen), tuple(roles), confidence, (text or "").strip(), abstained
    )
    st.session_state[_LAST] = (page.name, filters.to_address())
    return filters


def _say_left_out(unheeded: list[str]) -> None:
    if unheeded:
        st.warning("This address asks for something that is not in this lake. It is left out; all the rest counts:")
        st.text("\n".join(unheeded))


def _carry_over(page: Page) -> None:
    """Keep what was chosen on another page: the menu leads to an address without it, and this to one with it. An
    address that says what to look at counts as it stands."""
    last, address = st.session_state.get(_LAST, (page.name, ""))
    if last != page.name and address and not any(key in st.query_params for key in KEYS):
        del st.session_state[_LAST]
        st.switch_page(f"pages/{page.name}.py", query_params=parse_qs(address))


def say_nothing_found(filters: Filters) -> None:
    """What to do where the filters leave nothing."""
    if filters.is_narrower:
        st.info("Nothing fits all of these filters. Clear one of them above, or choose more days.")
    else:
        st.info("There is nothing to show yet: no recording of these corpora has been scored.")


def _span(days: object) -> tuple[date | None, date | None]:
    """A first and a last day; one day alone, as while a second one is being chosen, is both."""
    chosen = [one for one in days if isinstance(one, date)] if isinstance(days, tuple) else []
    return (chosen[0], chosen[-1]) if chosen else (None, None)
