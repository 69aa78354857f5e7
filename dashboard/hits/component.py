"""The list's place on a page. Its script and style are the files beside this one, and the player's elements."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.hits.payload import forget_addresses

HERE = Path(__file__).parent
SCRIPTS = (HERE.parent / "player" / "elements.js", HERE / "hits.js")
RECORDING_PAGE = "pages/recording.py"


def show_hits(hits: Sequence[dict[str, Any]], key: str) -> None:
    """Show the list with what `payload.hit_of` gives; goes to the recording of the one that somebody opens. What plays
    goes on when the page is run again. Runs the page again where an address of sound was too old."""
    component = st.components.v2.component(
        "mmer_hits",
        css=(HERE / "style.css").read_text(encoding="utf-8"),
        js="\n".join(script.read_text(encoding="utf-8") for script in SCRIPTS),
    )
    result = component(data={"hits": list(hits)}, key=key, on_opened_change=_nothing, on_renew_change=_nothing)
    if result.renew is not None:
        forget_addresses()
        st.rerun()
    # By its key: the lake may have moved on since the list was drawn, and other hits stand in these places.
    opened = next((hit for hit in hits if hit["key"] == result.opened), None)
    if opened is not None:
        st.switch_page(RECORDING_PAGE, query_params=opened["address"])


def _nothing() -> None:
    """A component reports only what somebody waits for."""
