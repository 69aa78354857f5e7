"""The script that Streamlit runs for every page: the menu, and the page that the address names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent
ICON = HERE / "assets" / "icon.png"


STYLE = """<style>
.stMainBlockContainer { padding: 4rem clamp(1rem, 4vw, 5rem) 3rem; max-width: 100rem; }
@media (max-width: 1000px) {
  :is(.st-key-filters, .st-key-wanted) [data-testid=stHorizontalBlock] { flex-wrap: wrap; }
  :is(.st-key-filters, .st-key-wanted) [data-testid=stColumn] { flex: 1 1 30%; min-width: 30%; }
}
[data-testid=stMultiSelectTagsContainer] [data-tag] { background-color: #0072B2; }
</style>"""
"""Streamlit leaves a hand's breadth above and beside a page, keeps widgets in one row on narrow screens, and writes
chosen values in white on the theme's colour, which in the dark theme is too pale for it."""


@dataclass(frozen=True)
class Entry:
    """A page of the menu."""

    name: str
    title: str
    is_hidden: bool = False
    """Reached from other pages alone."""


ENTRIES = (
    Entry("overview", "Overview"),
    Entry("recordings", "Recordings"),
    Entry("recording", "Recording", is_hidden=True),
    Entry("search", "Search"),
    Entry("compare", "Compare"),
    Entry("runs", "Runs"),
    Entry("models", "Models"),
    Entry("method", "Method and limits"),
)


def menu() -> None:
    """Show the page that the address names."""
    # An icon of our own: for Streamlit's icons the browser would ask another host.
    st.set_page_config(page_title="Calls and emotions", page_icon=str(ICON), layout="wide")
    pages = [
        st.Page(
            HERE / "pages" / f"{one.name}.py",
            title=one.title,
            url_path=one.name,
            default=one.name == "overview",
            visibility="hidden" if one.is_hidden else "visible",
        )
        for one in ENTRIES
    ]
    st.navigation(pages, position="top").run()


st.html(STYLE)
menu()
