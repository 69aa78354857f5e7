"""Corpora known by their shape, and what holds for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmer_ray.errors import UsageError
from mmer_ray.training.corpora.reading import LAYOUTS, read_corpus
from tests.training.corpora.makers import make_ravdess, write_csv, write_sounds


def test_ravdess_is_read_with_its_four_or_its_eight_classes(tmp_path: Path) -> None:
    make_ravdess(tmp_path, num_actors=2)
    write_sounds([tmp_path / "Actor_01" / "03-02-03-01-01-01-01.wav"])
    four, own = read_corpus(tmp_path), read_corpus(tmp_path, "ravdess", "own")
    assert (len(four.utterances), four.labels) == (20, ("neutral", "happy", "sad", "angry"))
    assert four.left_out == {"song": 1, "label fear": 4, "label disgust": 4, "label surprise": 4}
    assert (len(own.utterances), len(own.labels), own.left_out) == (32, 8, {"song": 1})
    first = own.utterances[0]
    assert (first.speaker, first.sex, first.text) == ("01", "male", "Kids are talking by the door")
    assert first.sound.trimmed


def test_emodb_is_read_with_its_four_or_its_seven_classes(tmp_path: Path) -> None:
    write_sounds(tmp_path / "wav" / f"{name}.wav" for name in ("03a01Wa", "09b02La", "09b02Ea"))
    four, own = read_corpus(tmp_path), read_corpus(tmp_path, classes="own")
    assert [one.label for one in four.utterances] == ["angry", "neutral"]
    assert [(one.label, one.sex) for one in own.utterances] == [
        ("angry", "male"), ("disgust", "female"), ("boredom", "female"),
    ]  # fmt: skip
    assert four.left_out == {"label disgust": 1}


def test_the_digest_follows_labels_texts_and_sounds_and_not_the_place(tmp_path: Path) -> None:
    lines = ["path,speaker,label,text", "a.wav,ada,sad,no", "b.wav,ben,sad,no"]
    digests = set()
    for name in ("one", "two"):
        write_sounds(tmp_path / name / sound for sound in ("a.wav", "b.wav"))
        digests.add(read_corpus(write_csv(tmp_path / name / "mine.csv", lines)).digest)
    assert len(digests) == 1
    changed = [line.replace("b.wav,ben,sad", "b.wav,ben,angry") for line in lines]
    digests.add(read_corpus(write_csv(tmp_path / "one" / "mine.csv", changed)).digest)
    changed = [*lines[:2], "b.wav,ben,sad,yes"]
    digests.add(read_corpus(write_csv(tmp_path / "one" / "mine.csv", changed)).digest)
    with (tmp_path / "two" / "b.wav").open("ab") as file:
        file.write(b"more")
    digests.add(read_corpus(tmp_path / "two" / "mine.csv").digest)
    assert len(digests) == 4


def test_a_folder_of_no_known_shape_is_refused_with_the_shapes_that_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"IEMOCAP .*MSP-Podcast .*MELD .*RAVDESS .*CREMA-D .*EmoDB"):
        read_corpus(tmp_path)


@pytest.mark.parametrize("kind", [kind for kind in LAYOUTS if kind not in ("manifest", "mmer_csv")])
def test_a_named_kind_that_is_not_there_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        read_corpus(tmp_path, kind)


def test_an_unknown_kind_and_an_absent_folder_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"savee is no kind of corpus: the kinds are mmer_csv, manifest, iemocap"):
        read_corpus(tmp_path, "savee")
    with pytest.raises(UsageError, match=r"absent is not there"):
        read_corpus(tmp_path / "absent")
