"""Turns from RTTM."""

from __future__ import annotations

import pytest

from mmer_ray.errors import SourceError
from mmer_ray.export.rttm import to_rttm
from mmer_ray.records import SpeakerTurn
from mmer_ray.transcripts.rttm import parse
from tests.transcripts.makers import rttm

TURNS = [("B", 0.5, 2.0), ("A", 1.5, 3.0)]
FOUND = (SpeakerTurn(0.5, 2.0, 0, "B"), SpeakerTurn(1.5, 3.0, 0, "A"))


def test_speaker_lines_are_turns_and_others_are_not() -> None:
    text = ";; a comment\nSPKR-INFO a 1 <NA> <NA> <NA> unknown B <NA> <NA>\n\n" + rttm(TURNS)

    assert parse(text, "a", "a.rttm") == FOUND


def test_a_file_of_one_recording_need_not_name_it_and_one_of_several_must() -> None:
    assert parse(rttm(TURNS, "other"), "a", "a.rttm") == FOUND
    assert parse(rttm([("C", 0, 1)], "other") + rttm(TURNS, "a"), "a", "a.rttm") == FOUND
    with pytest.raises(SourceError, match=r"a\.rttm has lines of b, c and none of a"):
        parse(rttm(TURNS, "b") + rttm(TURNS, "c"), "a", "a.rttm")


def test_an_empty_file_says_that_nobody_speaks() -> None:
    assert parse("", "a", "a.rttm") == ()


def test_what_we_export_is_read_back() -> None:
    assert parse(to_rttm("/calls/a.wav", FOUND), "a", "a.rttm") == FOUND


@pytest.mark.parametrize(
    "line", ["SPEAKER", "SPEAKER a 1 soon 1.0 <NA> <NA> A", "SPEAKER a 1 0.0 1.0", "SPEAKER a 1 nan 1.0 <NA> <NA> A",
             "SPEAKER a 1 0.0 -1.0 <NA> <NA> A"],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_named(line: str) -> None:
    with pytest.raises(SourceError, match=r"a\.rttm, line 2"):
        parse(f"{rttm(TURNS[:1])}{line}\n", "a", "a.rttm")
