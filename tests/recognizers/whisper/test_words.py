"""From tokens with times to words."""

from __future__ import annotations

import pytest

from mmer_ray.recognizers.whisper.words import LONGEST_WORD_S, timed_words

Times = list[tuple[str, float, float]]


def read(parts: list[tuple[str, int]], starts_s: list[float], duration_s: float = 10.0) -> Times:
    words = timed_words(parts, starts_s, [0.5] * (len(starts_s) - 1), duration_s)
    return [(word.word, word.start_s, word.end_s) for word in words]


def test_a_word_lasts_from_its_first_token_to_the_next_word() -> None:
    assert read([(" won", 1), (" derful", 2)], [1.0, 1.2, 1.3, 1.5]) == [("won", 1.0, 1.2), ("derful", 1.2, 1.5)]


def test_what_follows_a_mark_without_a_space_is_of_the_same_word() -> None:
    parts = [(" ice", 1), ("-cream", 1), (" at", 1), (" 3", 1), (".5", 1), (" (", 1), ("a", 1), (")", 1)]
    assert read(parts, [0, 0.1, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9, 1.0]) == [
        ("ice-cream", 0, 0.3),
        ("at", 0.3, 0.4),
        ("3.5", 0.4, 0.7),
        ("(a)", 0.8, 0.9),
    ]


def test_where_words_are_written_without_spaces_each_stays_one() -> None:
    words = timed_words([("a", 1), ("b", 1)], [0, 0.1, 0.2], [0.5, 0.5], 1.0, spaced=False)
    assert [word.word for word in words] == ["a", "b"]


def test_marks_join_the_word_before_and_opening_ones_the_word_after() -> None:
    found = read([(" Well", 1), (",", 1), (" (", 1), ("yes", 1), (")", 1), (".", 1)], [0, 0.3, 0.6, 0.7, 1, 1.1, 1.2])
    assert [word for word, _, _ in found] == ["Well,", "(yes)."]


def test_the_time_of_a_mark_is_a_pause_and_belongs_to_no_word() -> None:
    assert read([(" So", 1), (".", 1), (" No", 1)], [0.0, 0.4, 2.0, 2.3]) == [("So.", 0.0, 0.4), ("No", 2.0, 2.3)]


def test_a_pause_is_taken_off_a_word_at_the_side_where_it_lies() -> None:
    (first, second, third) = read([(" I", 1), (" see.", 1), (" Now", 1)], [0.0, 3.0, 6.0, 9.0])
    assert first == ("I", 3.0 - LONGEST_WORD_S, 3.0)
    assert second == ("see.", 3.0, 3.0 + LONGEST_WORD_S)
    assert third == ("Now", 9.0 - LONGEST_WORD_S, 9.0)


def test_no_word_goes_on_after_the_sound_has_ended() -> None:
    assert read([(" a", 1), (" b", 1)], [0.2, 0.9, 1.4], duration_s=1.0) == [("a", 0.2, 0.9), ("b", 0.9, 1.0)]


def test_marks_alone_are_no_words() -> None:
    assert read([(" ...", 1), ("(", 1)], [0.0, 0.5, 1.0]) == []
    assert timed_words([], [0.0], [], 1.0) == []


def test_the_probability_of_a_word_is_the_mean_over_its_tokens() -> None:
    (word, _) = timed_words([(" ab", 2), (" c", 1)], [0, 0.1, 0.2, 0.3], [0.2, 0.6, 0.9], 1.0)
    assert word.p == pytest.approx(0.4)
