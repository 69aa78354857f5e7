"""`mmer export` on a lake made by the writer. The formats themselves: tests/test_export.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

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


def test_words_tiers_and_segments_hold_all_of_a_call(mmer: Mmer, lake: Path) -> None:
    words = mmer("export", "--lake", lake, "-f", "ctm", "call.opus").out.splitlines()
    grid = mmer("export", "--lake", lake, "-f", "textgrid", "call.opus").out
    document = json.loads(mmer("export", "--lake", lake, "-f", "whisperx", "call.opus").out)

    assert len(words) == len(document["word_segments"]) == 12
    assert words[-1].startswith("call 2 7.100 0.900 again ")
    # The recording lasts 10 s, its last word ends before.
    assert "\nxmax = 10.000\n" in grid
    assert [segment["speaker"] for segment in document["segments"]] == ["S1", "S2", "S1"]


def test_audformat_is_written_as_a_folder(mmer: Mmer, lake: Path, tmp_path: Path) -> None:
    ended = mmer("export", "--lake", lake, "-f", "audformat", "call.opus", "-o", tmp_path / "call")

    assert ended.code == 0
    assert sorted(path.name for path in (tmp_path / "call").iterdir()) == ["db.utterances.csv", "db.yaml"]


def test_audformat_without_a_folder_to_write_to_ends_with_2_and_the_remedy(mmer: Mmer, lake: Path) -> None:
    ended = mmer("export", "--lake", lake, "-f", "audformat", "call.opus")

    assert (ended.code, ended.out) == (2, "")
    assert "--output DIR" in ended.err


@pytest.mark.parametrize("fmt", ["hf", "lhotse", "parquet", "audformat", "vtt"])
def test_all_that_a_condition_chooses_goes_into_one_folder(mmer: Mmer, lake: Path, tmp_path: Path, fmt: str) -> None:
    condition = "num_speakers = 2 OR status = 'failed'"

    ended = mmer("export", "--lake", lake, "-f", fmt, "--where", condition, "-o", tmp_path / "out")

    assert (ended.code, ended.out) == (0, "")
    assert "wrote 2 conversations" in ended.err
    assert "1 recording failed" in ended.err
    assert any((tmp_path / "out").iterdir())


def test_several_recordings_without_a_folder_to_write_to_end_with_2_and_the_remedy(mmer: Mmer, lake: Path) -> None:
    ended = mmer("export", "--lake", lake, "-f", "srt", "call.opus", "hour.wav")

    assert (ended.code, ended.out) == (2, "")
    assert "--output DIR" in ended.err


def test_nothing_to_choose_by_ends_with_2_and_the_ways(mmer: Mmer, lake: Path, tmp_path: Path) -> None:
    ended = mmer("export", "--lake", lake, "-f", "hf", "-o", tmp_path / "out")

    assert ended.code == 2
    assert "--where SQL" in ended.err


def test_a_folder_that_cannot_be_made_ends_with_2_and_its_name(mmer: Mmer, lake: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")

    ended = mmer("export", "--lake", lake, "-f", "audformat", "call.opus", "-o", tmp_path / "taken")

    assert ended.code == 2
    assert str(tmp_path / "taken") in ended.err
