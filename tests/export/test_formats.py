"""Formats by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmer_ray.cli.export import ExportFormat
from mmer_ray.export.formats import FOLDER_FORMATS, FORMATS, export, open_folder
from mmer_ray.export.rttm import to_rttm
from tests.export.makers import TALK, conversation, said


def test_rttm_is_written_from_turns_where_they_are_known() -> None:
    turns = [said(0.25, 2.5, "", "S1"), said(3599.5, 3602.0, "", "S2")]

    assert export("a.wav", TALK, "rttm", turns) == to_rttm("a.wav", turns)
    assert export("a.wav", TALK, "rttm", []) == ""
    assert export("a.wav", TALK, "rttm") == to_rttm("a.wav", TALK)


@pytest.mark.parametrize(("fmt", "text"), [("srt", ""), ("vtt", "WEBVTT\n"), ("txt", ""), ("rttm", ""), ("ctm", "")])
def test_a_recording_without_words_is_an_empty_file_of_its_kind(fmt: str, text: str) -> None:
    assert export("a.wav", [], fmt) == text


def test_an_unknown_format_is_named_with_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="'ass'; valid: srt, vtt, txt, rttm, ctm, textgrid, whisperx, json"):
        export("a.wav", [], "ass")


@pytest.mark.parametrize("fmt", FOLDER_FORMATS)
def test_a_folder_of_files_is_asked_for_as_a_folder(fmt: str, tmp_path: Path) -> None:
    with open_folder(fmt, tmp_path) as writer:
        writer.add(conversation(TALK))

    assert any(tmp_path.iterdir())
    with pytest.raises(ValueError, match=f"'{fmt}'; valid: srt"):
        export("a.wav", TALK, fmt)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'srt'; valid: audformat, hf, lhotse"):
        open_folder("srt", tmp_path)


def test_the_command_line_offers_every_format() -> None:
    assert sorted(ExportFormat) == sorted(FORMATS)
