"""What a test set shares with its training: counted, and refused where it is a speaker."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmer_ray.errors import UsageError
from mmer_ray.training.leaks import MIN_WORDS, NEAR, check, words_of
from mmer_ray.training.utterances import Sound, Split, Utterance

SENTENCES = st.lists(st.sampled_from(("no", "yes", "why", "you", "me", "it", "go")), min_size=1, max_size=9).map(
    " ".join
)


def said(
    name: str, text: str | None, speaker: str, dialogue: str | None = None, sentence: str | None = None
) -> Utterance:
    return Utterance(name, Sound(Path("a.wav")), speaker, text=text, dialogue=dialogue, sentence=sentence)


def fold_of(train: list[Utterance], test: list[Utterance], development: list[Utterance] | None = None) -> Split:
    return Split("Fold 1", tuple(train), tuple(development or ()), tuple(test))


def test_equal_and_near_equal_texts_and_shared_dialogues_are_counted() -> None:
    train = [
        said("t1", "I never said you could go there alone!", "ada", "d1"),
        said("t2", "No.", "ada", "d2"),
        said("t3", "[LAUGHTER]", "ada"),
    ]
    test = [
        said("equal", "i never said you could go there alone", "ben", "d1"),
        said("near", "I never said that you could go there", "ben"),
        said("short", "no", "ben"),
        said("other", "what would you like to have for dinner", "ben"),
        said("wordless", "[LAUGHTER]", "ben"),
    ]
    report = check(fold_of(train, test, [said("d", "hm", "cleo", "d1")]))
    assert report.equal_ids == {"equal", "short"}
    assert report.near_ids == {"equal", "near"}
    assert report.seen_ids == {"equal", "near", "short"}
    assert (report.num_test, report.num_texts, report.num_long_texts) == (5, 4, 3)
    assert (report.num_shared_dialogues, report.num_development_dialogues) == (1, 1)
    assert "texts also in training: 2 of 4 (50.0%)" in "\n".join(report.lines())
    assert "at least 5 words): 2 of 3 (66.7%)" in "\n".join(report.lines())


def test_where_there_is_no_text_the_fixed_sentence_counts() -> None:
    train = [said("t", None, "ada", sentence="a01")]
    test = [said("same", None, "ben", sentence="a01"), said("new", None, "ben", sentence="b02")]
    assert check(fold_of(train, test)).equal_ids == {"same"}


@given(train=st.lists(SENTENCES, max_size=12), test=st.lists(SENTENCES, min_size=1, max_size=6))
def test_near_equal_texts_are_those_that_comparing_all_with_all_finds(train: list[str], test: list[str]) -> None:
    known = [said(f"t{number}", text, "ada") for number, text in enumerate(train)]
    asked = [said(f"q{number}", text, "ben") for number, text in enumerate(test)]

    def is_near(one: Utterance, other: Utterance) -> bool:
        words, others = words_of(one), words_of(other)
        return len(words & others) / len(words | others) >= NEAR

    expected = {
        one.utterance_id
        for one in asked
        if len(words_of(one)) >= MIN_WORDS and any(is_near(one, other) for other in known)
    }
    assert check(fold_of(known, asked)).near_ids == expected


@pytest.mark.parametrize(
    ("split", "parts"),
    [
        (fold_of([said("a", "", "ada")], [said("b", "", "ada")]), "training and in test"),
        (
            fold_of([said("a", "", "ada")], [said("b", "", "ben")], [said("c", "", "ada")]),
            "training and in development",
        ),
        (fold_of([said("a", "", "cleo")], [said("b", "", "ada")], [said("c", "", "ada")]), "development and in test"),
    ],
)
def test_a_planted_speaker_is_refused_by_name_whichever_two_parts_hold_it(split: Split, parts: str) -> None:
    with pytest.raises(UsageError, match=rf"Fold 1: 1 speakers are in {parts} \(ada\).*kfold or loso"):
        check(split)
