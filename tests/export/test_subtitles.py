"""Subtitles: exact small examples, and FFmpeg's parsers on the odd ones."""

from __future__ import annotations

import io
import itertools

import av
import pytest

from mmer_ray.export.formats import export
from mmer_ray.export.subtitles import cues, to_srt, to_vtt
from mmer_ray.records import Utterance, Word
from tests.export.makers import TALK, said, spoken


def parsed(text: str, fmt: str) -> list[tuple[float, float, str]]:
    """(start, end, text) of each cue as FFmpeg reads the file."""
    with av.open(io.BytesIO(text.encode()), "r", format={"srt": "srt", "vtt": "webvtt"}[fmt]) as container:
        return [
            (
                float(packet.pts * packet.time_base),
                float((packet.pts + packet.duration) * packet.time_base),
                bytes(packet).decode(),
            )
            for packet in container.demux()
            if packet.pts is not None and packet.time_base is not None and packet.duration is not None
        ]


def test_srt_is_numbered_cues_with_the_speaker_in_front() -> None:
    assert to_srt(TALK) == (
        "1\n00:00:00,500 --> 00:00:02,250\nS1: hello there\n"
        "\n2\n00:59:59,900 --> 01:00:01,500\nS2: so \"what\" now\n"
    )  # fmt: skip


def test_vtt_names_the_voice_and_its_emotion() -> None:
    assert to_vtt(TALK) == (
        "WEBVTT\n"
        "\n00:00:00.500 --> 00:00:02.250\n<v.neutral S1>hello there\n"
        '\n00:59:59.900 --> 01:00:01.500\n<v.angry S2>so "what" now\n'
    )


def test_slow_words_are_cut_by_seconds_long_before_they_fill_a_cue() -> None:
    found = cues([spoken(0.0, ["so"] * 20, word_s=3.0)])

    assert len(found) == 10
    assert all(cue.end_s - cue.start_s <= 7.0 for cue in found)


@pytest.mark.parametrize("fmt", ["srt", "vtt"])
def test_a_player_reads_the_times_beyond_the_first_hour(fmt: str) -> None:
    found = parsed(export("a.wav", TALK, fmt), fmt)

    assert [(start_s, end_s) for start_s, end_s, _ in found] == [(0.5, 2.25), (3599.9, 3601.5)]


@pytest.mark.parametrize("fmt", ["srt", "vtt"])
@pytest.mark.parametrize(
    "text",
    ["00:00:00,000 --> 00:00:09,000", "one\n\n2\n00:00:05,000 --> 00:00:06,000\ntwo", "NOTE <b>loud</b> & \r\n\r\nend"],
)
def test_no_text_can_break_out_of_its_cue(fmt: str, text: str) -> None:
    found = parsed(export("a.wav", [said(1, 2, text), said(3, 4, "after")], fmt), fmt)

    assert [(start_s, end_s) for start_s, end_s, _ in found] == [(1, 2), (3, 4)]
    assert "<b>" not in found[0][2]


def test_vtt_text_is_escaped_for_the_web() -> None:
    assert "<v S1>&lt;c&gt; &amp; --&gt;\n" in to_vtt([said(0, 1, "<c> & -->")])


def test_a_long_utterance_is_cut_at_words_into_readable_cues() -> None:
    words = [f"word{index}" for index in range(60)]

    found = cues([spoken(10.0, words)])

    assert " ".join(cue.text for cue in found) == " ".join(words)
    # Two lines of 42 characters and 7 s, as the guides of broadcasters ask.
    assert all(len(cue.text) <= 84 and cue.end_s - cue.start_s <= 7.0 for cue in found)
    assert (found[0].start_s, found[-1].end_s) == (10.0, 40.0)
    assert all(before.end_s <= after.start_s for before, after in itertools.pairwise(found))


def test_words_without_times_stay_with_the_words_before_them() -> None:
    timed, untimed = Word("a" * 50, 0.0, 1.0, 1.0), Word("b" * 50, None, None, 1.0)
    one = Utterance(0.0, 3.0, 0, "S1", "x", (timed, untimed, Word("c" * 50, 2.0, 3.0, 1.0)))

    assert [(cue.start_s, cue.end_s, cue.text[0]) for cue in cues([one])] == [(0.0, 1.0, "a"), (2.0, 3.0, "c")]


def test_a_cue_always_ends_after_its_start_and_cues_are_in_order_of_time() -> None:
    found = parsed(to_vtt([said(5, 6, "later"), said(2, 2, "now")]), "vtt")

    assert [(start_s, round(end_s, 3)) for start_s, end_s, _ in found] == [(2.0, 2.001), (5.0, 6.0)]


def test_pieces_of_an_utterance_that_another_one_interrupts_lie_around_it() -> None:
    found = cues([spoken(0.0, ["long"] * 60), said(7.5, 8.0, "but")])

    assert [cue.start_s for cue in found] == sorted(cue.start_s for cue in found)
    assert found[0].text.startswith("long")
    assert "but" in [cue.text for cue in found[1:-1]]
