"""Writing what people say: verdicts and corrections, with what happens while another job writes the lake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import streamlit as st

from dashboard.audit import Event
from dashboard.page import Page
from mmer_ray.errors import LakeError, MmerError, StoreError
from mmer_ray.lake.store import Lake
from mmer_ray.lake.verdicts import Judged, Judgement, judge
from mmer_ray.tables import Row

_PENDING = "writing that waits"


@dataclass(frozen=True, slots=True)
class Notice:
    """What the player tells once."""

    KEY: ClassVar[str] = "notice"
    number: int = 0
    text: str = ""

    def as_payload(self) -> dict[str, Any]:
        return {"number": self.number, "text": self.text}


def notice() -> Notice:
    """The newest one of this session."""
    found: Notice = st.session_state.get(Notice.KEY, Notice())
    return found


def tell(text: str) -> None:
    """Let the player say this when it is drawn next."""
    st.session_state[Notice.KEY] = Notice(notice().number + 1, text)


@dataclass(frozen=True, slots=True)
class Writing:
    """Something that somebody wants written."""

    what: str
    """For people and the audit log: a kind, nothing that was said."""
    corpus: str
    recording_id: str
    work: Callable[[Lake], object]


def write(page: Page, wanted: Writing) -> None:
    """Write it and show the page anew. Where another job writes the lake it is kept, to be tried again."""
    if not page.viewer.annotate:
        page.refuse("You may look, but not annotate.", wanted.corpus, wanted.recording_id)
    try:
        with st.spinner("Saving..."):
            wanted.work(Lake(page.dashboard.reader.address))
    except (LakeError, StoreError) as exc:
        st.session_state[_PENDING] = (wanted, str(exc))
        tell(f"Not saved yet: the {wanted.what} waits below the player.")
        st.rerun()
    except MmerError as exc:
        tell(f"Not saved: {exc}")
        st.rerun()
    page.dashboard.audit.note(
        Event.CHANGED, page.viewer.name, corpus=wanted.corpus, recording_id=wanted.recording_id, detail=wanted.what
    )
    page.dashboard.reader.refresh()
    st.session_state.pop(_PENDING, None)
    tell(f"Saved: {wanted.what}.")
    st.rerun()


def write_pending(page: Page) -> None:
    """Offer to try again what could not be written."""
    waiting = st.session_state.get(_PENDING)
    if waiting is None:
        return
    wanted, why = waiting
    st.warning(f"The lake cannot be written at the moment, so the {wanted.what} is not saved yet. Try again soon.")
    st.text(why)
    with st.container(horizontal=True):
        again = st.button("Try again", type="primary", key="try again")
        if st.button("Discard", key="discard"):
            st.session_state.pop(_PENDING)
            st.rerun()
    if again:
        write(page, wanted)


def write_verdict(page: Page, row: Row, scorer: str | None, said: Mapping[str, Any]) -> None:
    """Write what the player reports. Its values come from a browser: they count only where they fit the lake."""
    about = Judged(row["corpus"], row["recording_id"], str(said.get("heard_key")), _number(said.get("utterance")))
    judgement = Judgement(_text(said.get("verdict")), scorer, _text(said.get("label")), _text(said.get("text")))  # type: ignore[arg-type]
    rater = page.viewer.name
    what = "verdict" if judgement.verdict else "correction" if judgement.label or judgement.text else "taking back"
    write(page, Writing(what, row["corpus"], row["recording_id"], lambda lake: judge(lake, about, judgement, rater)))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**31 else -1
