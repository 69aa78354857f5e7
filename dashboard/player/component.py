"""The player's place on a page. Its script and style are the files beside this one; it has no parts of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent
SCRIPTS = (
    "elements.js", "sound.js", "drawing.js", "tracks.js", "transcript.js", "details.js", "keys.js", "player.js",
)  # fmt: skip
"""One after the other they are one module; the last one exports what Streamlit calls."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody did in the player since the page was run last."""

    judged: Mapping[str, Any] | None
    """A verdict or a correction: `utterance`, `heard_key`, `scorer`, `verdict`, `label`, `text`."""
    wants_address: bool
    """Whether the address of the sound was too old."""


def show_player(data: Mapping[str, Any], key: str) -> Asked:
    """Show the player with what `payload.payload_of` gives. It plays on while the page is run again."""
    result = _component()(data=data, key=key, on_judged_change=_nothing, on_renew_change=_nothing)
    return Asked(result.judged, result.renew is not None)


@cache
def _component() -> Any:
    """Registered once; a runtime that does not know it yet is told when it is shown."""
    return st.components.v2.component("mmer_player", css=_read("style.css"), js="\n".join(map(_read, SCRIPTS)))


def _nothing() -> None:
    """A component reports only what somebody waits for."""


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
