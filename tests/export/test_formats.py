"""Formats by their names."""

from __future__ import annotations

import pytest

from mmer_ray.cli.export import ExportFormat
from mmer_ray.export.formats import FORMATS, export, export_folder
from mmer_ray.export.rttm import to_rttm
from tests.export.makers import TALK, said


def test_rttm_is_written_from_turns_where_they_are_known() -> None:
    turns = [said(0.25, 2.5, "", "S1"), said(3599.5, 3602.0, "", "S2")]

    assert export("a.wav", TALK, "rttm", turns) == to_rttm("a.wav", turns)
    assert export("a.wav", TALK, "rttm", []) == ""
    assert export("a.wav", TALK, "rttm") == to_rttm("a.wav", TALK)


@pytest.mark.parametrize(("fmt", "text"), [("srt", ""), ("vtt", "WEBVTT\n"), ("rttm", ""), ("ctm", "")])
def test_a_recording_without_words_is_an_empty_file_of_its_kind(fmt: str, text: str) -> None:
    assert export("a.wav", [], fmt) == text


def test_an_unknown_format_is_named_with_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="'ass'; valid: srt, vtt, rttm, ctm, textgrid, whisperx, json"):
        export("a.wav", [], "ass")


def test_a_folder_of_files_is_asked_for_as_a_folder() -> None:
    assert set(export_folder("a.wav", TALK, "audformat")) == {"db.yaml", "db.utterances.csv"}
    with pytest.raises(ValueError, match="'audformat'; valid: srt"):
        export("a.wav", TALK, "audformat")
    with pytest.raises(ValueError, match="'srt'; valid: audformat"):
        export_folder("a.wav", TALK, "srt")


def test_the_command_line_offers_every_format() -> None:
    assert sorted(ExportFormat) == sorted(FORMATS)
