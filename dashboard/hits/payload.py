"""What the list is given: each utterance as plain values, ready for JSON. Times are seconds."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from dashboard.heard import addresses_of, sound_of
from dashboard.links import recording_address
from dashboard.page import Page
from dashboard.palette import colour_of
from dashboard.plain import in_line
from dashboard.player.payload import NOT_SCORED, SKIPPED, UNSURE_BELOW, Addresses
from dashboard.tokens import LIFETIME_S
from mmer_ray.tables import Row

BEFORE_S, AFTER_S = 0.3, 0.7
"""Heard besides: cuts of a diarizer take away first and last sounds."""
MAX_CHARS, MAX_CONTEXT_CHARS = 2_000, 160
RENEW_AFTER_S = LIFETIME_S / 2
_KEPT = "addresses of hits"


@dataclass(frozen=True, slots=True)
class Mark:
    """An emotion as it is shown."""

    text: str
    colour: str
    is_unsure: bool = False
    title: str = ""
    """Whose it is, where several are shown."""


@dataclass(frozen=True, slots=True)
class Around:
    """What was said before and after; empty where nothing was."""

    before: str = ""
    after: str = ""


def mark_of(label: str | None, confidence: float | None, skip_reason: str | None, title: str = "") -> Mark:
    """The emotion of one utterance, with its confidence; why there is none, where there is none."""
    if label is None:
        return Mark(SKIPPED.get(skip_reason or "", NOT_SCORED), colour_of(None), is_unsure=True, title=title)
    sure = "" if confidence is None else f" {100 * confidence:.0f} %"
    is_unsure = confidence is not None and confidence < UNSURE_BELOW
    return Mark(f"{in_line(label)}{sure}", colour_of(label), is_unsure, title)


def hit_of(
    row: Row, sound: Addresses, marks: Sequence[Mark], needle: str = "", around: Around | None = None, note: str = ""
) -> dict[str, Any]:
    """One utterance of the list. `row` is one of `questions.search.hits`."""
    around = around or Around()
    who, role = in_line(row["speaker_name"] or row["speaker"] or ""), in_line(row["role"] or "")
    address = recording_address(row["corpus"], row["recording_id"], row["start_ms"])
    return {
        "key": f"{row['corpus']}/{row['recording_id']}/{row['utterance_idx']}",
        "address": address,
        "link": f"recording?{urlencode(address)}",
        "sound": sound.sound,
        "wav": sound.wav,
        "start": row["start_ms"] / 1000,
        "end": row["end_ms"] / 1000,
        "from": max(0.0, row["start_ms"] / 1000 - BEFORE_S),
        "until": row["end_ms"] / 1000 + AFTER_S,
        "who": f"{role} \N{MIDDLE DOT} {who}" if role and role != who else who,
        "name": in_line(PurePosixPath(row["uri"] or row["recording_id"]).name),
        "place": " \N{MIDDLE DOT} ".join(in_line(str(one)) for one in (row["day"], row["corpus"]) if one),
        "text": (row["text"] or "")[:MAX_CHARS],
        "needle": needle,
        "before": around.before[-MAX_CONTEXT_CHARS:],
        "after": around.after[:MAX_CONTEXT_CHARS],
        "marks": [
            {"text": one.text, "colour": one.colour, "unsure": one.is_unsure, "title": one.title} for one in marks
        ],
        "note": note,
    }


def sounds_of(page: Page, rows: Sequence[Row]) -> Mapping[tuple[str, str], Addresses]:
    """(corpus, recording_id) -> where the browser gets the sound from; the same addresses while they are fresh, so that
    a list whose page is run again does not change."""
    now = time.monotonic()
    held: dict[tuple[str, str], tuple[float, Addresses]] = st.session_state.get(_KEPT, {})
    kept = {}
    for row in rows:
        place = (row["corpus"], row["recording_id"])
        made = held.get(place)
        if made is None or now - made[0] > RENEW_AFTER_S:
            made = (now, _addresses(page, row))
        kept[place] = made
    st.session_state[_KEPT] = kept
    return {place: addresses for place, (_, addresses) in kept.items()}


def forget_addresses() -> None:
    """Let `sounds_of` make new ones: one that a browser has was too old."""
    st.session_state.pop(_KEPT, None)


def _addresses(page: Page, row: Row) -> Addresses:
    if row["uri"] is None:
        return Addresses(None, None, None)
    return addresses_of(page.dashboard, page.viewer, sound_of(row))


def contexts(hits: Sequence[Row], said: Sequence[Row]) -> dict[tuple[str, str, int], Around]:
    """(corpus, recording_id, utterance_idx) of each hit -> what was said around it; `said` are rows of
    `questions.search.around`."""
    wanted = {(row["corpus"], row["recording_id"], row["utterance_idx"]) for row in hits}
    found = {}
    for index, row in enumerate(said):
        place = (row["corpus"], row["recording_id"], row["utterance_idx"])
        if place in wanted:
            found[place] = Around(_neighbour(said, index, -1), _neighbour(said, index, 1))
    return found


def _neighbour(said: Sequence[Row], index: int, step: int) -> str:
    row, at = said[index], index + step
    if not 0 <= at < len(said):
        return ""
    other = said[at]
    if (other["corpus"], other["recording_id"]) != (row["corpus"], row["recording_id"]):
        return ""
    who = in_line(other["role"] or other["speaker_name"] or other["speaker"] or "")
    return f"{who}: {other['text'] or ''}" if who else other["text"] or ""
