"""CREMA-D and the votes of its crowd."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmer_ray.errors import UsageError
from mmer_ray.training.corpora.reading import read_corpus
from tests.training.corpora.makers import write_csv, write_sounds

CLIPS = ("1001_DFA_ANG_XX", "1002_IEO_NEU_HI", "1001_IEO_FEA_XX")
HEADER = '"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote"'
VOTES = (
    '"100001",4,4,0,0,2,0,"1001_DFA_ANG_XX",10,0.4,"A:D"',
    '"100002",0,3,1,0,0,0,"1002_IEO_NEU_HI",4,0.75,"D"',
    '"200001",0,0,0,9,1,0,"1001_DFA_ANG_XX",10,0.9,"H"',
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_sounds(tmp_path / "AudioWAV" / f"{name}.wav" for name in CLIPS)
    write_csv(tmp_path / "processedResults" / "tabulatedVotes.csv", [HEADER, *VOTES])
    write_csv(
        tmp_path / "VideoDemographics.csv", ["ActorID,Age,Sex,Race,Ethnicity", "1001,51,Male,x,y", "1002,21,Female,x,y"]
    )
    return tmp_path


def test_the_label_is_what_was_acted_and_the_shares_are_what_the_voice_alone_was_heard_as(folder: Path) -> None:
    corpus = read_corpus(folder, classes="own")
    angry, neutral, fear = sorted(corpus.utterances, key=lambda one: CLIPS.index(one.utterance_id))
    assert (angry.label, angry.speaker, angry.sex, angry.sentence) == ("angry", "1001", "male", "DFA")
    assert angry.shares == {"neutral": 0.2, "happy": 0, "sad": 0, "angry": 0.4, "fear": 0, "disgust": 0.4}
    assert neutral.shares is not None
    assert (neutral.label, neutral.shares["disgust"]) == ("neutral", 0.75)
    assert (fear.label, fear.shares) == ("fear", None)


def test_of_four_classes_the_shares_are_those_of_the_votes_for_the_four(folder: Path) -> None:
    corpus = read_corpus(folder)
    angry, neutral = sorted(corpus.utterances, key=lambda one: CLIPS.index(one.utterance_id))
    assert angry.shares == {"neutral": pytest.approx(1 / 3), "happy": 0, "sad": 0, "angry": pytest.approx(2 / 3)}
    assert neutral.shares is None
    assert corpus.left_out == {"label fear": 1}


def test_votes_that_are_no_number_are_refused_by_file_and_line(folder: Path) -> None:
    write_csv(folder / "processedResults" / "tabulatedVotes.csv", [HEADER, VOTES[0], VOTES[1].replace("0,3,", "NA,3,")])
    with pytest.raises(UsageError, match=r"tabulatedVotes.csv:3: A is missing \(NA\)"):
        read_corpus(folder)


def test_pointers_of_git_lfs_are_refused_with_what_to_do(folder: Path) -> None:
    pointer = folder / "AudioWAV" / "1001_IEO_ANG_HI.wav"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"1001_IEO_ANG_HI.wav is a pointer of Git LFS.*git lfs pull"):
        read_corpus(folder)
