"""The script that Streamlit runs for every page: the menu, and the page that the address names."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from dashboard.page import must_sign_in
from dashboard.session import served

HERE = Path(__file__).parent
ICON = HERE / "assets" / "icon.png"
STYLE = HERE / "assets" / "style.css"


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
    # An icon of our own: for Streamlit's icons the browser would ask another host. It stands in the page itself: a file
    # goes while one session begins its script anew and another one ends, and who asks for it then gets a 404.
    icon = f"data:image/png;base64,{b64encode(ICON.read_bytes()).decode()}"
    st.set_page_config(page_title="Calls and emotions", page_icon=icon, layout="wide")
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
    # A sign-in leads back to the address that was asked for: until then there is no other one to choose.
    st.navigation(pages, position="hidden" if must_sign_in(served().access) else "top").run()


st.html(STYLE)
menu()
