"""`mmer show` on conversations that are short, an hour long, hostile, quiet and failed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mmer_ray.cli.conversation_view import show_header
from mmer_ray.cli.show import seconds_of
from mmer_ray.errors import ErrorCode, UsageError
from mmer_ray.lake.conversation import Conversation
from tests.cli.makers import HOSTILE, HOUR, Ended, on_terminal, said, write_lake
from tests.lake.makers import audio_file, failed, recording_at

Mmer = Callable[..., Ended]


def test_a_call_shows_who_spoke_when_what_was_said_and_how(mmer: Mmer, lake: Path) -> None:
    ended = mmer("show", "--lake", lake, "call.opus")
    lines = ended.out.splitlines()

    assert ended.code == 0
    assert lines[0] == "call.opus"
    assert "10.0 s, 2 speakers, 2 channels, 8000 Hz, opus, language en" in ended.out
    assert "S2 customer: 62 % of the talk, 120 words/min; angry 100 %" in ended.out
    assert [line.split() for line in lines[-3:]] == [
        ["0:00", "S1", "agent", "neutral", "1.00", "good", "morning", "how", "can", "i", "help"],
        ["0:03", "S2", "customer", "angry", "0.90", "my", "parcel", "is", "broken", "again"],
        ["0:08", "S1", "agent", "too_short", "oh"],
    ]


def test_an_hour_has_every_utterance_on_a_line_marks_and_silences(mmer: Mmer, lake: Path) -> None:
    out = mmer("show", "--lake", lake, "hour.wav").out

    assert sum("sentence number" in line for line in out.splitlines()) == len(HOUR)
    assert [line.split()[0] for line in out.splitlines() if line.endswith("-----")] == [
        f"{minute}:00" for minute in range(5, 60, 5)
    ]
    assert "(32.0 s of silence)" in out
    assert "sentence number 359" in out.splitlines()[-1]


def test_a_stretch_of_an_hour_can_be_asked_for(mmer: Mmer, lake: Path) -> None:
    out = mmer("show", "--lake", lake, "hour.wav", "--from", "30:00", "--to", "0:30:20").out

    assert [line.split()[0] for line in out.splitlines() if "sentence" in line] == ["30:00", "30:10"]


def test_a_transcript_cannot_act_on_the_terminal(mmer: Mmer, lake: Path) -> None:
    out = mmer("show", "--lake", lake, "hostile.wav").out

    assert out.replace("\n", "").isprintable()
    assert "<b>" in out


def test_colours_are_for_terminals_alone_and_words_wrap_beside_their_speaker(mmer: Mmer, lake: Path) -> None:
    shown = on_terminal("", "show", "--lake", lake, "call.opus", columns=50)

    assert "\x1b[31mangry 0.90" in shown
    assert "\x1b" not in mmer("show", "--lake", lake, "call.opus").out
    (wrapped,) = [line for line in shown.splitlines() if "help" in line]
    assert "good morning" not in wrapped


def test_several_languages_are_shown_with_their_shares(capsys: pytest.CaptureFixture[str]) -> None:
    spoken = [replace(said(0, 6, "hello"), language="en"), replace(said(6, 8, "hallo"), language="de")]
    row = {"uri": "/a.wav", "recording_id": "ab", "corpus": "c", "day": "2026-11-20", "status": "scored"}
    facts = {"duration_ms": 9_000, "num_speakers": 1, "channels": 1, "sample_rate_hz": 8_000, "codec": "opus"}

    show_header(Conversation({**row, **facts, "language": "en", "flags": []}, tuple(spoken), None, "m@1"))

    assert "languages en 75 %, de 25 %" in capsys.readouterr().out


def test_a_recording_without_speech_says_so(mmer: Mmer, lake: Path) -> None:
    ended = mmer("show", "--lake", lake, "quiet.wav")

    assert ended.code == 0
    assert "flags: no_speech" in ended.out
    assert "nobody speaks here" in ended.out


def test_a_failed_recording_shows_why(mmer: Mmer, lake: Path) -> None:
    ended = mmer("show", "--lake", lake, "broken.wav")

    assert ended.code == 0
    assert "failed in decode: corrupt_header" in ended.out


def test_json_has_the_words_as_they_are(mmer: Mmer, lake: Path) -> None:
    document = json.loads(mmer("show", "--lake", lake, "hostile.wav", "--json").out)

    assert document["schema"] == "mmer.show/1"
    assert document["utterances"][0]["text"] == HOSTILE
    assert document["recording"]["status"] == "scored"


def test_without_a_name_the_newest_runs_conversations_are_shown_those_of_several_people_first(
    mmer: Mmer, lake: Path
) -> None:
    out = mmer("show", "--lake", lake).out

    assert out.splitlines()[0] == "call.opus"
    assert "my parcel is broken again" in out
    assert out.index("call.opus") < out.index("hostile.wav")


def test_without_a_name_what_is_too_long_to_show_is_counted(mmer: Mmer, lake: Path) -> None:
    out = mmer("show", "--lake", lake).out

    assert "sentence number" not in out
    assert "more recording" in out


def test_without_a_name_json_has_the_conversations_and_how_many_there_are_besides(mmer: Mmer, lake: Path) -> None:
    document = json.loads(mmer("show", "--lake", lake, "--json").out)

    assert document["schema"] == "mmer.show_last/1"
    assert document["conversations"][0]["recording"]["uri"].endswith("call.opus")
    assert len(document["conversations"]) + document["num_more"] == 4


def test_a_stretch_of_time_without_a_recording_is_refused(mmer: Mmer, lake: Path) -> None:
    ended = mmer("show", "--lake", lake, "--from", "1:00")

    assert ended.code == 2
    assert "name it" in ended.err


def test_a_lake_in_which_nothing_was_scored_says_what_to_look_at(mmer: Mmer, tmp_path: Path) -> None:
    broken = recording_at(audio_file(tmp_path, "broken.wav"), tmp_path)
    write_lake(tmp_path / "lake", lambda one: failed(one, ErrorCode.CORRUPT_HEADER), [broken])

    ended = mmer("show", "--lake", tmp_path / "lake")

    assert ended.code == 2
    assert "mmer status" in ended.err


def test_an_unknown_recording_ends_with_2_and_its_name(mmer: Mmer, lake: Path) -> None:
    ended = mmer("show", "--lake", lake, "nobody.wav")

    assert ended.code == 2
    assert "'nobody.wav'" in ended.err


@pytest.mark.parametrize(("text", "time_s"), [("75", 75), ("1:15.5", 75.5), ("1:01:15", 3_675)])
def test_times_are_read_as_people_type_them(text: str, time_s: float) -> None:
    assert seconds_of(text) == time_s


@pytest.mark.parametrize("text", ["", "1:", "-3", "1:2:3:4", "five", "1e3"])
def test_what_is_no_time_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        seconds_of(text)
