"""Writing what people say: verdicts and corrections, with what happens while another job writes the lake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import streamlit as st

from dashboard.audit import Event
from dashboard.page import Page
from mmer_ray.errors import LakeError, MmerError, StoreError, UsageError
from mmer_ray.lake.store import Lake
from mmer_ray.lake.verdicts import Judged, Judgement, judge
from mmer_ray.tables import Row

_WAITING = "writing that waits"


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
    subject: tuple[object, ...] | None = None
    """What it says all of, so that an earlier writing about the same no longer counts; None: it is added to others."""


def write(page: Page, wanted: Writing) -> None:
    """Write it and show the page anew. Where another job writes the lake it is kept, to be tried again."""
    if not page.viewer.annotate:
        page.refuse("You may look, but not annotate.", wanted.corpus, wanted.recording_id)
    try:
        with st.spinner("Saving..."):
            wanted.work(Lake(page.dashboard.reader.address))
    except (LakeError, StoreError) as exc:
        _keep(wanted, str(exc))
        tell(f"Not saved yet: the {wanted.what} waits below the player.")
        st.rerun()
    except MmerError as exc:
        tell(f"Not saved: {exc}")
        st.rerun()
    page.dashboard.audit.note(
        Event.CHANGED, page.viewer.name, corpus=wanted.corpus, recording_id=wanted.recording_id, detail=wanted.what
    )
    page.dashboard.reader.refresh()
    _drop(wanted)
    tell(f"Saved: {wanted.what}.")
    st.rerun()


def write_pending(page: Page) -> None:
    """Offer to try again what could not be written, each by itself, the first one first."""
    for one in _waiting():
        st.warning(
            f"The lake cannot be written at the moment, so the {one.wanted.what} is not saved yet. It is kept here: "
            "try again soon."
        )
        st.text(one.why)
        with st.container(horizontal=True):
            again = st.button("Try again", type="primary", key=f"try again {one.number}")
            if st.button("Discard", key=f"discard {one.number}"):
                _drop(one.wanted)
                st.rerun()
        if again:
            write(page, one.wanted)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Something that could not be written yet, and why."""

    number: int
    wanted: Writing
    why: str


def _waiting() -> tuple[_Waiting, ...]:
    found: tuple[_Waiting, ...] = st.session_state.get(_WAITING, ())
    return found


def _keep(wanted: Writing, why: str) -> None:
    """Let it wait: where it waited already, in its place; else behind the others, without what it replaces."""
    before = _waiting()
    if any(one.wanted is wanted for one in before):
        after = [replace(one, why=why) if one.wanted is wanted else one for one in before]
    else:
        number = 1 + max((one.number for one in before), default=0)
        after = [*(one for one in before if not _replaces(wanted, one.wanted)), _Waiting(number, wanted, why)]
    st.session_state[_WAITING] = tuple(after)


def _drop(wanted: Writing) -> None:
    """Let it wait no longer, nor what it replaces."""
    st.session_state[_WAITING] = tuple(one for one in _waiting() if not _replaces(wanted, one.wanted))


def _replaces(new: Writing, old: Writing) -> bool:
    return new is old or (new.subject is not None and new.subject == old.subject)


def write_verdict(page: Page, row: Row, scorer: str | None, said: Mapping[str, Any]) -> None:
    """Write what the player reports, where `scorer` is still the one whose answers it shows. Its values come from a
    browser: they count only where they fit the lake."""
    about = Judged(row["corpus"], row["recording_id"], str(said.get("heard_key")), _number(said.get("utterance")))
    judgement = Judgement(_text(said.get("verdict")), scorer, _text(said.get("label")), _text(said.get("text")))  # type: ignore[arg-type]
    rater = page.viewer.name
    what = "verdict" if judgement.verdict else "correction" if judgement.label or judgement.text else "taking back"

    def work(lake: Lake) -> None:
        if judgement.verdict and said.get("scorer") != scorer:
            raise UsageError(
                "another emotion model is in use since this page was drawn: reload it and judge its answer"
            )
        judge(lake, about, judgement, rater)

    write(page, Writing(what, row["corpus"], row["recording_id"], work, ("said", about)))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**31 else -1
