"""A row of figures, each in a box of its own; on a narrow screen they take two rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

MIN_COLUMNS = 4
"""One figure alone need not fill the page."""
MIN_WIDTH_PX = 176
"""Six stand side by side in 1,280 pixels and three in 800, with their names on one line."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure, and what it was in the days before."""

    label: str
    now: str
    help: str | None = None
    change: str | None = None
    is_bad_up: bool | None = None
    """Whether more is worse; None: neither."""
    beside: str | None = None
    """Stands below the figure; it is no change."""


def show_tiles(tiles: Sequence[Tile]) -> None:
    """Show them as wide as the page."""
    colours: dict[bool | None, Any] = {True: "inverse", False: "normal", None: "off"}
    with st.grid(max(len(tiles), MIN_COLUMNS), min_column_width=MIN_WIDTH_PX):
        for one in tiles:
            st.metric(
                one.label,
                one.now,
                one.change or one.beside,
                delta_color=colours[one.is_bad_up],
                delta_arrow="auto" if one.change else "off",
                delta_description="vs before" if one.change else None,
                help=one.help,
                border=True,
                height="stretch",
            )
