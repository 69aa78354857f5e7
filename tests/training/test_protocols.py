"""Named protocols: who is trained on, who chooses, who is tested."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmer_ray.errors import UsageError
from mmer_ray.training.emobox import RAVDESS_FOLDS
from mmer_ray.training.folds import protocol
from mmer_ray.training.leaks import check
from mmer_ray.training.utterances import Corpus, Sound, Utterance

LABELS = ("neutral", "happy", "sad", "angry")


def corpus_of(num_speakers: int, name: str = "RAVDESS", labels: tuple[str, ...] = LABELS) -> Corpus:
    utterances = tuple(
        Utterance(
            f"{speaker:02d}-{number}", Sound(Path("a.wav")), f"{speaker:02d}", sex="male" if speaker % 2 else "female"
        )
        for speaker in range(1, num_speakers + 1)
        for number in range(3)
    )
    return Corpus(name, utterances, labels, "")


@given(num_speakers=st.integers(3, 25), seed=st.integers(0, 50), data=st.data())
def test_every_speaker_is_tested_once_and_nobody_is_in_two_parts(
    num_speakers: int, seed: int, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(["loso", f"kfold{data.draw(st.integers(3, num_speakers))}"]))
    corpus = corpus_of(num_speakers)
    folds = protocol(name, corpus, seed)
    for fold in folds:
        assert check(fold).num_test == len(fold.test)
        assert len(fold.train) + len(fold.development) + len(fold.test) == len(corpus.utterances)
    assert sorted(one.utterance_id for fold in folds for one in fold.test) == sorted(
        one.utterance_id for one in corpus.utterances
    )
    assert len({fold.name for fold in folds}) == len(folds)


def test_a_seed_gives_the_same_folds_and_another_one_others() -> None:
    corpus = corpus_of(12)
    assert protocol("kfold", corpus, 1) == protocol("kfold", corpus, 1)
    assert protocol("kfold", corpus, 1) != protocol("kfold", corpus, 2)
    assert len(protocol("kfold", corpus)) == 5


def test_where_one_speaker_is_tested_about_a_tenth_of_the_others_choose() -> None:
    fold = protocol("loso", corpus_of(24))[0]
    assert {one.speaker for one in fold.test} == {"01"}
    assert len({one.speaker for one in fold.development}) == 3
    assert {one.sex for one in fold.development} == {"female", "male"}


def test_the_folds_of_emobox_for_ravdess_test_its_actors_and_set_others_aside() -> None:
    corpus = corpus_of(24, labels=tuple("abcdefgh"))
    folds = protocol("emobox-ravdess", corpus)
    assert [{one.speaker for one in fold.test} for fold in folds] == [set(actors) for actors in RAVDESS_FOLDS]
    assert all(len({one.speaker for one in fold.development}) == 4 for fold in folds)
    assert sorted(one.utterance_id for fold in folds for one in fold.test) == sorted(
        one.utterance_id for one in corpus.utterances
    )


@pytest.mark.parametrize(
    ("name", "corpus", "said"),
    [
        ("emobox-crema-d", corpus_of(5, "CREMA-D"), r"emobox-crema-d is refused.*actors are in training and in test"),
        ("emobox-emodb", corpus_of(5, "EmoDB"), r"emobox-emodb is refused.*kfold or loso"),
        ("emobox-ravdess", corpus_of(24), r"of 8 classes, not 4: read the corpus with --classes own"),
        ("emobox-iemocap", corpus_of(10, "IEMOCAP", tuple("abcdefghij")), r"of 4 classes, not 10: .* --classes four"),
        ("emobox-msp-podcast", corpus_of(5, "MSP-Podcast"), r"of 8 classes, not 4: .* --classes own"),
        ("emobox-ravdess", corpus_of(12, labels=tuple("abcdefgh")), r"of 24 actors; 13, 14, .* are not here"),
        ("emobox-ravdess", corpus_of(5, "EmoDB"), r"is for ravdess, this corpus is EmoDB"),
        ("emobox-savee", corpus_of(5), r"none of EmoBox's protocols that are known here: emobox-iemocap"),
        ("loso5", corpus_of(5), r"has 0 sessions, this protocol is for 5 \(IEMOCAP\)"),
        ("partitions", corpus_of(5), r"no partition train, development, test1 \(it has none\)"),
        ("kfold2", corpus_of(5), r"at least 3"),
        ("kfold6", corpus_of(5), r"6 folds of 5 speakers"),
        ("loso", corpus_of(2), r"loso needs 3 speakers or more"),
        ("random", corpus_of(5), r"random is no protocol: the protocols are kfold"),
    ],
)
def test_a_protocol_that_does_not_fit_is_refused_with_the_reason(name: str, corpus: Corpus, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        protocol(name, corpus)


def test_sessions_with_more_than_two_speakers_are_no_matter_of_loso10() -> None:
    corpus = corpus_of(15)
    utterances = tuple(replace(one, session=f"Session {1 + int(one.speaker) % 5}") for one in corpus.utterances)
    corpus = replace(corpus, utterances=utterances)
    with pytest.raises(UsageError, match=r"loso10 is for sessions of two speakers; Session 1 of RAVDESS has 3"):
        protocol("loso10", corpus)
    assert [fold.name for fold in protocol("loso5", corpus)] == [f"Session {number}" for number in range(1, 6)]
