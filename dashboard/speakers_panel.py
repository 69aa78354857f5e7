"""The speakers of a recording: how much each talks, and their names, joined and parted by people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from dashboard.numbers import clock, percent
from dashboard.page import Page
from dashboard.plain import in_line
from dashboard.questions import recording as questions
from dashboard.verdict_writing import Writing, write
from mmer_ray.lake.conversation import Conversation
from mmer_ray.lake.edited_speakers import edit_of, in_force
from mmer_ray.lake.heard_speakers import MAX_NAME_CHARS, Merge, Rename, Split, Undo
from mmer_ray.lake.speaker_edits import Seen, edit_speakers
from mmer_ray.tables import Row

MAX_TEXT_CHARS = 80


def show_speakers(page: Page, row: Row, conversation: Conversation, numbers: Sequence[int]) -> None:
    """A table, and the forms of who may annotate wherever an edit would count."""
    called = _called(conversation)
    if not called:
        return
    st.subheader("Speakers")
    st.dataframe(
        [_facts(speaker, conversation) for speaker in called],
        hide_index=True,
        alt="One row per speaker: role, seconds of talk, words per minute, longest turn",
    )
    if not page.viewer.annotate:
        return
    if _is_elsewhere(page, row):
        st.caption(
            "This audio is also in a corpus that you may not see, and its speakers would be edited there too: only who "
            "may see all of its corpora can name, join or part them."
        )
        return
    with st.expander("Name, join or part speakers"):
        _show_forms(page, row, conversation, numbers)


def _is_elsewhere(page: Page, row: Row) -> bool:
    if page.viewer.corpora is None:
        return False
    asked = questions.shown_elsewhere(row["recording_id"], row["heard_key"], page.corpora)
    (found,) = page.ask("Whether another corpus has it too", asked).to_pylist()
    return bool(found["is_elsewhere"])


def _called(conversation: Conversation) -> dict[str, str]:
    """Speaker -> what people read; in the order in which they first speak."""
    found: dict[str, str] = {}
    for one in conversation.utterances:
        name, speaker = in_line(one.called), in_line(one.speaker)
        found.setdefault(one.speaker, name if name == speaker else f"{name} ({speaker})")
    return found


def _facts(speaker: str, conversation: Conversation) -> dict[str, Any]:
    own = [one for one in conversation.utterances if one.speaker == speaker]
    measures = conversation.measures
    talk_s = measures.talk_s.get(speaker, 0.0) if measures else sum(one.end_s - one.start_s for one in own)
    all_s = sum(measures.talk_s.values()) if measures else talk_s
    return {
        "Speaker": own[0].called,
        "Id": speaker,
        "Role": own[0].role or "",
        "Talks for": clock(round(1000 * talk_s)),
        "Share of talk": percent(talk_s / all_s if all_s else None),
        "Utterances": len(own),
        "Words per minute": round(measures.words_per_minute.get(speaker, 0.0)) if measures else None,
        "Longest utterance": clock(round(1000 * max(one.end_s - one.start_s for one in own))),
    }


def _show_forms(page: Page, row: Row, conversation: Conversation, numbers: Sequence[int]) -> None:
    called = _called(conversation)
    # A form of another hearing is another one: what is sent from it then names nobody of this one.
    of_hearing = f"{row['recording_id']} {row['heard_key']}"
    rename, merge, split, undo = st.tabs(["Name", "Join two", "Part one", "Undo"])
    with rename, st.form(f"rename {of_hearing}", border=False):
        speaker = _choose("Speaker", called, "rename speaker")
        name = st.text_input("New name", max_chars=MAX_NAME_CHARS, key="rename name")
        if st.form_submit_button("Save the name") and speaker:
            _edit(page, row, Rename(speaker, name), "speaker's name")
    with merge, st.form(f"merge {of_hearing}", border=False):
        st.caption("Where one person was taken for two: everything that the first one says is said by the second one.")
        speaker = _choose("This speaker", called, "merge speaker")
        into = _choose("is this one", called, "merge into", index=min(1, len(called) - 1))
        if st.form_submit_button("Join them") and speaker and into:
            _edit(page, row, Merge(speaker, into), "joining of speakers")
    with split:
        _show_split(page, row, conversation, numbers, f"split {of_hearing}")
    with undo:
        _show_undo(page, row)


def _show_split(page: Page, row: Row, conversation: Conversation, numbers: Sequence[int], form: str) -> None:
    st.caption("Where two people were taken for one: choose what the other one says; it becomes a new speaker's.")
    speaker = _choose("Speaker", _called(conversation), "split speaker")
    texts = {
        number: f"{clock(round(1000 * one.start_s))}  {one.text[:MAX_TEXT_CHARS]}"
        for one, number in zip(conversation.utterances, numbers, strict=True)
        if one.speaker == speaker
    }
    with st.form(form, border=False):
        chosen = st.multiselect(
            "What the other one says", list(texts), format_func=lambda one: texts.get(one, ""), key="split what"
        )
        if st.form_submit_button("Part them") and speaker:
            _edit(page, row, Split(speaker, tuple(chosen)), "parting of a speaker")


def _show_undo(page: Page, row: Row) -> None:
    asked = questions.speaker_edits(row["recording_id"], row["corpus"], row["heard_key"], page.corpora)
    edits = page.ask("What people changed about its speakers", asked).to_pylist()
    counting = in_force(edit_of(one) for one in edits)
    if not counting:
        st.caption("Nothing was changed about the speakers of this recording.")
        return
    told = {
        one.edit_id: f"{in_line(str(one))}, by {in_line(one.author or '')}{_when(one.edited_at)}"
        for one in reversed(counting)
    }
    with st.form("undo", border=False):
        edit_id = st.selectbox("Change", list(told), format_func=lambda one: told.get(one, ""), key="undo what")
        if st.form_submit_button("Undo it"):
            _edit(page, row, Undo(edit_id), "undoing of a change")


def _edit(page: Page, row: Row, wanted: Rename | Merge | Split | Undo, what: str) -> None:
    recording_id, author = row["recording_id"], page.viewer.name
    seen = Seen(row["corpus"], row["heard_key"], page.viewer.corpora)
    write(
        page,
        Writing(
            what, seen.corpus, recording_id, lambda lake: edit_speakers(lake, recording_id, wanted, author, seen=seen)
        ),
    )


def _choose(label: str, called: dict[str, str], key: str, index: int = 0) -> str | None:
    return st.selectbox(label, list(called), format_func=lambda one: called.get(one, ""), key=key, index=index)


def _when(edited_at: datetime | None) -> str:
    return "" if edited_at is None else f", {edited_at:%Y-%m-%d %H:%M} UTC"
