"""How a profile's `model` names a member and its checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmer_ray.diarizers.members import choose_diarizer
from mmer_ray.profiles import DiarizeOptions, TranscribeOptions
from mmer_ray.recognizers.members import choose_recognizer


@pytest.mark.parametrize(
    ("model", "member", "address"),
    [
        ("base", "whisper", "base"),
        ("whisper:base", "whisper", "base"),
        ("embedded", "ctc", "embedded"),
        ("some/folder", "ctc", "some/folder"),
        ("onnx:some/folder", "onnx", "some/folder"),
    ],
)
def test_a_recognizer_is_found_by_its_name_or_by_that_of_a_model_of_the_catalogue(
    model: str, member: str, address: str
) -> None:
    chosen = choose_recognizer(TranscribeOptions(model=model))
    assert (chosen.name, chosen.address) == (member, address)


def test_a_diarizer_is_found_by_the_name_of_its_pipeline() -> None:
    chosen = choose_diarizer(DiarizeOptions(model="community-1"))
    assert chosen.name == "pyannote"


def test_a_folder_with_the_name_of_a_catalogued_model_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").mkdir()
    assert choose_recognizer(TranscribeOptions(model="base")).name == "ctc"
