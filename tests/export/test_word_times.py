"""A time for every word, also where the recognizer gave none."""

from __future__ import annotations

from mmer_ray.export.word_times import timed_words
from mmer_ray.records import Utterance, Word
from tests.export.makers import said


def test_words_with_times_keep_them() -> None:
    words = (Word("so", 1.0, 1.25, 0.5), Word("what", 1.5, 2.0, 0.75))

    assert timed_words(Utterance(1.0, 3.0, 0, "S1", "so what", words)) == [
        ("so", 1.0, 1.25, 0.5),
        ("what", 1.5, 2.0, 0.75),
    ]


def test_words_without_times_share_the_gap_between_their_neighbours() -> None:
    untimed = [Word(word, None, None, 0.1) for word in "acd"]
    words = (untimed[0], Word("b", 2.0, 3.0, 0.9), *untimed[1:])

    assert timed_words(Utterance(1.0, 5.0, 0, "S1", "a b c d", words)) == [
        ("a", 1.0, 2.0, 0.1),
        ("b", 2.0, 3.0, 0.9),
        ("c", 3.0, 4.0, 0.1),
        ("d", 4.0, 5.0, 0.1),
    ]


def test_words_without_times_and_without_a_gap_stand_at_the_border() -> None:
    words = (Word("a", 1.0, 2.0, 0.9), Word("b", None, None, 0.1), Word("c", 2.0, 3.0, 0.9))

    assert timed_words(Utterance(1.0, 3.0, 0, "S1", "a b c", words))[1] == ("b", 2.0, 2.0, 0.1)


def test_a_word_without_an_end_ends_where_it_starts() -> None:
    assert timed_words(Utterance(0.0, 3.0, 0, "S1", "a", (Word("a", 1.0, None, 0.9),))) == [("a", 1.0, 1.0, 0.9)]


def test_a_text_without_words_is_spread_over_its_utterance_without_confidence() -> None:
    assert timed_words(said(0.5, 1.5, "hello there")) == [("hello", 0.5, 1.0, None), ("there", 1.0, 1.5, None)]
