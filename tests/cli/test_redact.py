"""`mmer redact`: what is said, what is written and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mmer_ray.audio import vad
from mmer_ray.diarizers import members as diarizers
from mmer_ray.recognizers import members as recognizers
from tests.cli.makers import Ended
from tests.members import EnergyDiarizer
from tests.publish.talk import SineRecognizer, StubbornRecognizer, lake_of, sound_of, utterance

Mmer = Callable[..., Ended]
TEXT = "call five five now"


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lake_of(tmp_path_factory.mktemp("calls"), {"a.wav": (sound_of(TEXT), [utterance(TEXT)])})


@pytest.fixture
def hears(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Put a recognizer without weights in the place of whatever a profile names."""

    def put(recognizer: object) -> None:
        monkeypatch.setattr(vad, "load_vad", lambda options: None)
        monkeypatch.setattr(diarizers, "load_diarizer", lambda options, detector: EnergyDiarizer())
        monkeypatch.setattr(recognizers, "load_recognizer", lambda options: recognizer)

    return put


def test_copies_go_into_a_folder_and_their_number_is_said(mmer: Mmer, calls: Path, tmp_path: Path) -> None:
    ended = mmer("redact", "a.wav", "--lake", calls, "--into", tmp_path / "out", "--rules", "numbers", "-f", "txt,srt")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("1 recording published in ")
    (text,) = (tmp_path / "out").rglob("*.txt")
    assert text.read_text() == "S1: call [NUMBER] now\n"
    assert (text.parent / "conversation.srt").exists()


def test_a_refused_recording_ends_with_3_and_the_reason(
    mmer: Mmer, calls: Path, tmp_path: Path, hears: Callable[[object], None]
) -> None:
    hears(StubbornRecognizer())
    options = ("--lake", calls, "--into", tmp_path / "out", "--rules", "numbers", "--audio")

    ended = mmer("redact", "--where", "true", *options, "--json")

    document = json.loads(ended.out)
    assert ended.code == 3
    assert (document["schema"], document["published"]) == ("mmer.redact/1", [])
    assert [one["reason"] for one in document["refused"]] == ["still_heard"]
    assert not (tmp_path / "out").exists()
    assert "still_heard" in mmer("redact", "--where", "true", *options).err


def test_sound_is_published_once_the_copy_is_verified(
    mmer: Mmer, calls: Path, tmp_path: Path, hears: Callable[[object], None]
) -> None:
    hears(SineRecognizer())

    ended = mmer(
        "redact", "--corpus", "calls", "--lake", calls, "--into", tmp_path / "out", "--rules", "numbers", "--audio"
    )

    assert ended.code == 0
    assert len(list((tmp_path / "out").rglob("audio.flac"))) == 1


def test_a_recording_that_failed_is_refused(mmer: Mmer, lake: Path, tmp_path: Path) -> None:
    ended = mmer("redact", "--where", "true", "--lake", lake, "--into", tmp_path / "out", "--rules", "email")

    assert ended.code == 3
    assert "4 recordings published" in ended.out
    assert "corrupt_header" in ended.err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "no rule is named"),
        (("--rules", "names"), "valid: numbers"),
        (("--rules", "numbers", "-f", "hf"), "valid: srt"),
        (("--words", "no-such-file.txt"), "cannot be read"),
        (("--function", "no_such_module:find"), "no_such_module"),
    ],
)
def test_what_cannot_be_meant_ends_with_2_and_the_remedy(
    mmer: Mmer, calls: Path, tmp_path: Path, options: tuple[str, ...], reason: str
) -> None:
    ended = mmer("redact", "a.wav", "--lake", calls, "--into", tmp_path / "out", *options)

    assert (ended.code, ended.out) == (2, "")
    assert reason in ended.err
    assert not (tmp_path / "out").exists()
