"""CTM: a line per word."""

from __future__ import annotations

from dataclasses import replace

from mmer_ray.export.ctm import to_ctm
from mmer_ray.records import Utterance, Word
from tests.export.makers import said, spoken


def test_a_line_has_file_channel_start_duration_word_and_confidence() -> None:
    assert to_ctm("/calls/a call.opus", [spoken(3600.0, ["so", "what"])]) == (
        "a_call 1 3600.000 0.500 so 0.900\na_call 1 3600.500 0.500 what 0.900\n"
    )


def test_lines_are_sorted_by_channel_then_by_start_as_sclite_asks() -> None:
    later, sooner = spoken(5.0, ["b"]), spoken(1.0, ["a"])

    lines = to_ctm("a.wav", [replace(spoken(0.0, ["c"]), channel=1), later, sooner]).splitlines()

    assert [line.split()[1:5:3] for line in lines] == [["1", "a"], ["1", "b"], ["2", "c"]]


def test_a_text_without_words_has_times_and_no_confidence() -> None:
    assert to_ctm("a.wav", [said(0.0, 2.0, "hello there")]) == "a 1 0.000 1.000 hello\na 1 1.000 1.000 there\n"


def test_no_word_is_without_length_or_made_of_two_fields() -> None:
    words = (Word("New York", 1.0, 1.0, 1.0),)

    assert to_ctm("a.wav", [Utterance(1.0, 2.0, 0, "S1", "New York", words)]) == "a 1 1.000 0.001 New_York 1.000\n"
