"""MSP-Podcast in the shape of its releases."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmer_ray.errors import UsageError
from mmer_ray.training.corpora.reading import read_corpus
from mmer_ray.training.folds import protocol
from tests.training.corpora.makers import write_csv, write_sounds

HEADER = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
ROWS = (
    "MSP-PODCAST_0001_0001.wav,A,7.0,2.5,4.0,11,Male,Train",
    "MSP-PODCAST_0001_0002.wav,H,5.5,7.0,7.0,Unknown,Unknown,Train",
    "MSP-PODCAST_0002_0001.wav,N,2.0,4.0,2.0,12,Female,Development",
    "MSP-PODCAST_0003_0001.wav,C,3.0,3.0,4.0,13,Female,Test1",
    "MSP-PODCAST_0003_0002.wav,S,3.0,1.0,4.0,13,Female,Test1",
    "MSP-PODCAST_0004_0001.wav,X,3.0,1.0,4.0,14,Female,Test2",
)


def make(folder: Path, rows: tuple[str, ...] = ROWS, header: str = HEADER) -> Path:
    write_csv(folder / "Labels" / "labels_consensus.csv", [header, *rows])
    write_sounds(folder / "Audios" / row.partition(",")[0] for row in rows)
    write_csv(folder / "Transcripts" / "MSP-PODCAST_0001_0001.txt", ["No way.", "Never!"])
    return folder


def test_a_release_is_read_with_dimensions_partitions_speakers_and_words(tmp_path: Path) -> None:
    corpus = read_corpus(make(tmp_path), classes="own")
    first, unknown, *_ = corpus.utterances
    assert (first.label, first.speaker, first.sex, first.partition) == ("angry", "11", "male", "train")
    assert first.dimensions == (-0.5, 1, 0)
    assert (first.text, first.dialogue) == ("No way. Never!", "MSP-PODCAST_0001")
    assert (unknown.speaker, unknown.sex, unknown.text) == ("unknown of MSP-PODCAST_0001", None, None)
    assert (len(corpus.labels), corpus.left_out) == (8, {"label X: no agreement": 1})


def test_four_classes_leave_the_others_out_with_their_counts(tmp_path: Path) -> None:
    corpus = read_corpus(make(tmp_path))
    assert [one.label for one in corpus.utterances] == ["angry", "happy", "neutral", "sad"]
    assert corpus.left_out == {"label contempt": 1, "label X: no agreement": 1}


def test_the_published_partitions_are_a_protocol_and_that_of_emobox(tmp_path: Path) -> None:
    corpus = read_corpus(make(tmp_path), classes="own")
    (fold,) = protocol("partitions", corpus)
    assert (fold.name, len(fold.train), len(fold.development), len(fold.test)) == ("test1", 2, 1, 2)
    assert protocol("emobox-msp-podcast", corpus) == [fold]
    with pytest.raises(UsageError, match=r"no partition test2 \(it has development, test1, train\)"):
        protocol("partitions-test2", corpus)


def test_without_the_column_the_file_of_partitions_counts(tmp_path: Path) -> None:
    make(tmp_path, tuple(row.rpartition(",")[0] for row in ROWS), HEADER.rpartition(",")[0])
    lines = ["; ".join((row.rpartition(",")[2], row.partition(",")[0])) for row in ROWS]
    write_csv(tmp_path / "Partitions.txt", lines)
    assert [one.partition for one in read_corpus(tmp_path).utterances] == ["train", "train", "development", "test1"]
    write_csv(tmp_path / "Partitions.txt", lines[1:])
    with pytest.raises(UsageError, match=r"labels_consensus.csv:2: MSP-PODCAST_0001_0001.wav is not in Partitions.txt"):
        read_corpus(tmp_path)


def test_a_speaker_in_two_partitions_is_refused_by_name(tmp_path: Path) -> None:
    corpus = read_corpus(make(tmp_path, (*ROWS, "MSP-PODCAST_0005_0001.wav,N,3.0,3.0,4.0,11,Male,Test1")))
    with pytest.raises(UsageError, match=r"1 speakers are in training and in test \(11\)"):
        protocol("partitions", corpus)


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        (",A,7.0", ",nan,7.0", r"labels_consensus.csv:2: EmoClass is missing \(nan\)"),
        (",A,7.0", ",A,nan", r"labels_consensus.csv:2: EmoAct is missing \(nan\)"),
        (",A,7.0", ",A,7.5", r"labels_consensus.csv:2: EmoAct is 7.5, outside of 1..7"),
        (",A,7.0", ",Z,7.0", r"labels_consensus.csv:2: EmoClass is 'Z', which is none of N, H"),
        (",Train", ",Train9", r"labels_consensus.csv:2: Split_Set is 'Train9'"),
    ],
)
def test_a_wrong_cell_is_refused_by_file_and_line(good: str, bad: str, said: str, tmp_path: Path) -> None:
    make(tmp_path, (ROWS[0].replace(good, bad), *ROWS[1:]))
    with pytest.raises(UsageError, match=said):
        read_corpus(tmp_path)


def test_a_sound_that_is_missing_is_named_with_the_line_that_speaks_of_it(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "Audios" / "MSP-PODCAST_0001_0002.wav").unlink()
    with pytest.raises(UsageError, match=r"labels_consensus.csv:3 speaks of .*0001_0002.wav, which is not there"):
        read_corpus(tmp_path)
