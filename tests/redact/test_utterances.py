"""Text, words, names and the sound to be covered."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmer_ray.records import Word
from mmer_ray.redact.rules import RULES, RuleSet
from mmer_ray.redact.utterances import Redacted, Stretch, WordsDoNotFitError, kinds_left, redact
from mmer_ray.redact.word_list import listed_words
from tests.redact.makers import BOTH, NUMBERS, spoken


def only(done: Redacted) -> str:
    (one,) = done.utterances
    return one.text


def test_a_placeholder_stands_in_the_text_and_in_the_words() -> None:
    done = redact([spoken("call five five five now", 10.0)], NUMBERS)

    (one,) = done.utterances
    assert one.text == "call [NUMBER] now"
    assert [word.word for word in one.words] == ["call", "[NUMBER]", "now"]
    assert (one.words[1].start_s, one.words[1].end_s) == (10.5, 12.0)
    assert one.words[1].p == pytest.approx((0.6 + 0.5 + 0.6) / 3)
    assert done.stretches == (Stretch(10.5, 12.0, "NUMBER"),)
    assert done.has_all_times


def test_a_word_that_is_covered_in_part_is_covered_whole() -> None:
    assert only(redact([spoken("in room B-12/a, thanks")], NUMBERS)) == "in room [NUMBER] thanks"


def test_a_number_that_goes_on_in_the_next_utterance_is_taken_out_of_both() -> None:
    said = [spoken("it is one", 0.0), spoken("yes", 3.0, "S2"), spoken("one four", 5.0)]

    done = redact(said, NUMBERS)

    assert [one.text for one in done.utterances] == ["it is [NUMBER]", "yes", "[NUMBER]"]


def test_a_covered_word_without_times_covers_the_utterance() -> None:
    said = spoken("call five five now", 10.0)
    said = replace(said, words=(*said.words[:2], Word("five", None, None, 0.5), said.words[3]))

    done = redact([said], NUMBERS)

    assert done.stretches == (Stretch(10.0, 12.0, "NUMBER"),)


def test_an_utterance_without_words_says_not_when_something_was_said() -> None:
    done = redact([replace(spoken("call five five now"), words=())], NUMBERS)

    assert only(done) == "call [NUMBER] now"
    assert not done.has_all_times


def test_words_that_are_not_those_of_the_text_are_refused() -> None:
    said = spoken("call five now")
    for words in (said.words[:2], (said.words[0], Word("six", 1, 2, 0.5), said.words[2])):
        with pytest.raises(WordsDoNotFitError):
            redact([replace(said, words=words)], NUMBERS)


def test_a_name_that_a_rule_finds_is_replaced_and_speakers_stay_apart() -> None:
    rules = RuleSet([listed_words(["Anna", "Berta"])])
    said = [spoken("hello", speaker=name) for name in ("Anna", "S1", "Berta Vogel", "Chris", "Anna")]

    done = redact(said, rules)

    assert [one.speaker for one in done.utterances] == ["N1", "S1", "N2", "Chris", "N1"]
    assert kinds_left(done.utterances, rules) == []
    assert kinds_left(said, rules) == ["WORD"]


def test_a_role_that_a_rule_finds_is_left_out() -> None:
    done = redact([replace(spoken("hello"), role="agent 47")], NUMBERS)

    assert done.utterances[0].role is None


def test_what_the_rules_still_find_is_named_by_its_kind() -> None:
    said = spoken("call five now")

    assert kinds_left([said], BOTH) == ["NUMBER"]
    assert kinds_left([replace(said, text="call me now")], BOTH) == ["NUMBER"]


SAID = (
    "one two five oh and dot at example com anna 7 +49 b2b first second the [NUMBER] x@y.z einundzwanzig. double, hello"
)
WORDS = st.sampled_from(SAID.split())


@given(st.lists(st.lists(WORDS, min_size=1, max_size=8), min_size=1, max_size=4))
def test_nothing_is_left_whatever_is_said(texts: list[list[str]]) -> None:
    rules = RuleSet(list(RULES.values()))
    said = [spoken(" ".join(words), 10.0 * at) for at, words in enumerate(texts)]

    done = redact(said, rules)

    assert kinds_left(done.utterances, rules) == []
    assert all(one.text.split() == [word.word for word in one.words] for one in done.utterances)
    # What is not covered stays as it was.
    for before, after in zip(said, done.utterances, strict=True):
        assert [word for word in after.words if not word.word.startswith("[")] == [
            word for word in before.words if word in after.words and not word.word.startswith("[")
        ]
