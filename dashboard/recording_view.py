"""The page of one recording: the player, what people say of it, its speakers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NoReturn

import streamlit as st

from dashboard.audit import Event
from dashboard.conversation_file import offer_conversation
from dashboard.heard import addresses_of, sound_of
from dashboard.links import AT, MAX_ID_CHARS, OF_CORPUS, RECORDING, recording_address, second_of
from dashboard.numbers import clock
from dashboard.page import Page
from dashboard.plain import in_line
from dashboard.player.component import show_player
from dashboard.player.payload import Addresses, Shown, payload_of
from dashboard.questions import recording as questions
from dashboard.speakers_panel import show_speakers
from dashboard.tokens import LIFETIME_S
from dashboard.verdict_writing import Notice, notice, write_pending, write_verdict
from mmer_ray.lake.conversation import Conversation
from mmer_ray.lake.overview import worst_moment
from mmer_ray.tables import Row

BEFORE_WORST_S = 1.0
RENEW_AFTER_S = LIFETIME_S / 2


@dataclass(frozen=True, slots=True)
class Known:
    """What the lake holds of the recording that is shown."""

    conversation: Conversation
    numbers: Sequence[int]
    """`utterance_idx` of its utterances, in order."""


def show_recording(page: Page) -> None:
    """The recording that the address names, at the second that it names."""
    row = _row(page)
    _note_opened(page, row)
    if row["status"] != "scored":
        _say_failed(page, row)
    known = _known(page, row)
    place = (row["recording_id"], row["corpus"], row["heard_key"], page.corpora)
    said = page.ask("What people said of it", questions.said_of(*place)).to_pylist()
    payload = payload_of(known.conversation, known.numbers, said, _shown(page, row, known.conversation))
    asked = show_player({**payload, **_heading(row), "notice": notice().as_payload()}, key="player")
    if asked.wants_address:
        st.session_state.pop(_ADDRESSES, None)
        st.rerun()
    if asked.judged is not None:
        write_verdict(page, row, known.conversation.scorer, asked.judged)
    write_pending(page)
    offer_conversation(page, row, known.conversation)
    show_speakers(page, row, known.conversation, known.numbers)


def _row(page: Page) -> Row:
    """The recording's row; ends the page where there is none for this viewer."""
    wanted = st.query_params.get(RECORDING, "")[:MAX_ID_CHARS]
    corpus = st.query_params.get(OF_CORPUS)
    if not wanted:
        st.title("Recording")
        st.info("No recording is chosen. Choose one from the list.")
        st.page_link("pages/recordings.py", label="All recordings")
        page.end()
    if corpus is not None:
        page.require_corpus(corpus, wanted)
    found = page.ask("The recording", questions.recording(wanted, corpus, page.corpora)).to_pylist()
    if not found:
        page.refuse(f"There is no recording {wanted!a}, or it is not yours to see.", corpus, wanted)
    return dict(found[0])


def _note_opened(page: Page, row: Row) -> None:
    """Log it once for each time that somebody comes to the page, not each time that it is drawn."""
    opened = (row["corpus"], row["recording_id"])
    if st.session_state.get(_OPENED) != opened:
        page.dashboard.audit.note(
            Event.OPENED, page.viewer.name, corpus=opened[0], recording_id=opened[1], detail=page.name
        )
        st.session_state[_OPENED] = opened
        st.session_state.pop(_NOTICE, None)


def _say_failed(page: Page, row: Row) -> NoReturn:
    st.title("Recording")
    st.text(_name(row))
    st.error("This recording was not scored, so there is nothing to show of it.")
    st.text(f"{in_line(row['error_code'] or '')} at {in_line(row['error_stage'] or '')}: {row['error_message']}")
    st.caption(
        "`mmer retry` scores again what may succeed another time; the page Runs lists all failures by their cause."
    )
    st.page_link("pages/recordings.py", label="All recordings")
    page.end()


def _known(page: Page, row: Row) -> Known:
    """What was heard and felt."""
    place = (row["recording_id"], row["corpus"], page.corpora)
    found = page.ask("Its utterances", questions.utterance_numbers(*place)).to_pylist()
    known = Known(page.dashboard.conversations.of(row), [one["utterance_idx"] for one in found])
    if len(known.conversation.utterances) != len(known.numbers):
        # The lake was changed between the two questions.
        st.rerun()
    return known


def _shown(page: Page, row: Row, conversation: Conversation) -> Shown:
    return Shown(
        addresses=_addresses(page, row),
        start_s=_start_s(conversation),
        viewer=page.viewer.name,
        can_annotate=page.viewer.annotate,
        page=recording_address(row["corpus"], row["recording_id"]),
        time_name=AT,
    )


def _addresses(page: Page, row: Row) -> Addresses:
    """The same ones while they are fresh: a player that is given others has its data sent again."""
    place, now = (row["corpus"], row["recording_id"]), time.monotonic()
    kept = st.session_state.get(_ADDRESSES)
    if kept is None or kept[0] != place or now - kept[1] > RENEW_AFTER_S:
        kept = (place, now, addresses_of(page.dashboard, page.viewer, sound_of(row)))
        st.session_state[_ADDRESSES] = kept
    found: Addresses = kept[2]
    return found


def _start_s(conversation: Conversation) -> float:
    """The second that the address names, else that of the worst moment, else of the lowest valence."""
    named = second_of(st.query_params.get(AT))
    if named is not None:
        return named
    worst = worst_moment(conversation.utterances)
    if worst is not None:
        return max(0.0, worst.start_s - BEFORE_WORST_S)
    measures = conversation.measures
    return (measures.worst_window_start_s if measures else None) or 0.0


def _heading(row: Row) -> dict[str, str]:
    facts = [in_line(row["corpus"]), str(row["day"]), clock(row["duration_ms"]), in_line(row["language"] or "")]
    if row["is_copy"]:
        facts.append("a copy of another file")
    return {"title": _name(row), "facts": " \N{MIDDLE DOT} ".join(one for one in facts if one)}


def _name(row: Row) -> str:
    return in_line(PurePosixPath(row["uri"] or row["recording_id"]).name)


_OPENED, _ADDRESSES = "recording opened", "recording addresses"
_NOTICE = Notice.KEY
