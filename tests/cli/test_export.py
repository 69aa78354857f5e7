"""`mmer export` on a lake made by the writer. The formats themselves: tests/test_export.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.makers import Ended

Mmer = Callable[..., Ended]


def test_subtitles_go_to_stdout(mmer: Mmer, lake: Path) -> None:
    out = mmer("export", "--lake", lake, "--format", "vtt", "call.opus").out

    assert out.startswith("WEBVTT\n\n00:00:00.500 --> 00:00:03.000\n<v.neutral S1>good morning how can i help\n")


def test_a_file_is_written_where_it_is_asked_for(mmer: Mmer, lake: Path, tmp_path: Path) -> None:
    ended = mmer("export", "--lake", lake, "-f", "srt", "call.opus", "--output", tmp_path / "call.srt")

    assert (ended.code, ended.out) == (0, "")
    assert (tmp_path / "call.srt").read_text().splitlines()[6] == "S2: my parcel is broken again"


def test_rttm_and_json_hold_all_of_an_hour(mmer: Mmer, lake: Path) -> None:
    rttm = mmer("export", "--lake", lake, "-f", "rttm", "hour.wav").out.splitlines()
    document = json.loads(mmer("export", "--lake", lake, "-f", "json", "hour.wav").out)

    assert rttm[-1] == "SPEAKER hour 1 3590.000 8.000 <NA> <NA> S2 <NA> <NA>"
    assert len(rttm) == len(document["utterances"]) == 357


def test_a_recording_without_speech_exports_an_empty_file(mmer: Mmer, lake: Path) -> None:
    assert mmer("export", "--lake", lake, "-f", "vtt", "quiet.wav") == Ended(0, "WEBVTT\n", "")


def test_a_failed_recording_cannot_be_exported(mmer: Mmer, lake: Path) -> None:
    ended = mmer("export", "--lake", lake, "-f", "srt", "broken.wav")

    assert (ended.code, ended.out) == (2, "")
    assert "corrupt_header" in ended.err


def test_a_file_that_cannot_be_written_ends_with_2_and_its_name(mmer: Mmer, lake: Path, tmp_path: Path) -> None:
    ended = mmer("export", "--lake", lake, "-f", "srt", "call.opus", "-o", tmp_path / "no" / "call.srt")

    assert ended.code == 2
    assert str(tmp_path / "no" / "call.srt") in ended.err
