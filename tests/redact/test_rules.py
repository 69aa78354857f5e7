"""What the rules find in text, and what they leave."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mmer_ray.errors import UsageError
from mmer_ray.redact.passage import Span, passage
from mmer_ray.redact.rules import RULES, RuleSet, own_rule, rule_set
from mmer_ray.redact.word_list import listed_words
from tests.redact.makers import BOTH, NUMBERS, found

DOTLESS_I = "\N{LATIN SMALL LETTER DOTLESS I}"
EMAILS = RuleSet([RULES["email"]])


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("my number is five five five", ["five five five"]),
        ("call +49 (0) 170-123 45 67 now", ["49 (0) 170-123 45 67"]),
        ("room B2B and 4th floor", ["B2B and 4th"]),
        ("five oh one, thanks", ["five oh one"]),
        ("double seven dash twenty-one please", ["double seven dash twenty-one"]),
        ("the twenty-first of May", ["twenty-first"]),
        ("one two", ["one two"]),
        ("one oh one", ["one oh one"]),
        ("meine Nummer ist null eins sieben", ["null eins sieben"]),
        ("zweihundertfünf Euro", ["zweihundertfünf"]),
        ("am einundzwanzigsten Mai", ["einundzwanzigsten"]),
        ("一二三号", ["一二三号"]),
        ("½ of it", ["½"]),
    ],
)
def test_numbers_are_found_in_digits_and_in_words(text: str, numbers: list[str]) -> None:
    assert found(NUMBERS, text) == numbers


@pytest.mark.parametrize(
    "text", ["no one can help", "the first one", "just a second", "for the point and the dash", "often oh well", ""]
)
def test_words_that_are_mostly_no_numbers_stay_where_they_stand_alone(text: str) -> None:
    assert found(NUMBERS, text) == []


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("write to anna.miller@example.com, please", ["anna.miller@example.com,"]),
        ("it is anna at example dot com thanks", ["anna at example dot com"]),
        ("it is anna dot miller at my company dot co dot uk thanks", ["anna dot miller at my company dot co dot uk"]),
        ("that is a n n a at example.com then", ["a n n a at example.com"]),
        ("anna unterstrich m at beispiel punkt de bitte", ["anna unterstrich m at beispiel punkt de"]),
    ],
)
def test_addresses_are_found_written_and_spoken(text: str, addresses: list[str]) -> None:
    assert found(EMAILS, text) == addresses


@pytest.mark.parametrize("text", ["look at that", "we meet at five p.m. today", "at the point of no return", "dot com"])
def test_what_is_no_address_stays(text: str) -> None:
    assert found(EMAILS, text) == []


def test_an_address_may_go_on_in_the_next_utterance() -> None:
    assert found(EMAILS, "it is anna at", "example dot com ok") == ["anna at\nexample dot com"]


@pytest.mark.parametrize(
    ("rule", "text", "hits"),
    [
        ("phone", "five five five one two three four", 1),
        ("phone", "five five five", 0),
        ("phone", "twenty twenty twenty twenty", 1),
        ("phone", "double five triple two five five", 1),
        ("card", "4111 1111 1111 1111", 1),
        ("card", "4111 1111", 0),
    ],
)
def test_long_numbers_are_told_by_the_digits_that_they_have(rule: str, text: str, hits: int) -> None:
    assert len(found(RuleSet([RULES[rule]]), text)) == hits


def test_listed_words_are_whole_words_whatever_their_case() -> None:
    rules = RuleSet([listed_words(["# names", "Müller", "", "New York", "Jean-Luc"])])

    assert found(rules, "MÜLLER's friend") == ["MÜLLER's"]
    assert found(rules, "Mu\N{COMBINING DIAERESIS}ller in new york") == ["Mu\N{COMBINING DIAERESIS}ller", "new york"]
    assert found(rules, "jean luc") == ["jean luc"]
    assert found(rules, "Müllerin in New Yorkshire, Muller") == []


def test_listed_words_follow_the_language_of_the_text() -> None:
    rules = RuleSet([listed_words(["IRMAK", "東京"])])

    assert found(rules, f"{DOTLESS_I}rmak", language="tr") == [f"{DOTLESS_I}rmak"]
    assert found(rules, "私は東京です", language="ja") == ["東京"]


@pytest.mark.parametrize("lines", [[], ["", "# nothing"], ["..."]])
def test_a_list_without_words_is_refused(lines: list[str]) -> None:
    with pytest.raises(UsageError, match="list of words"):
        listed_words(lines)


def test_spans_that_overlap_are_one_and_the_longest_says_what_it_is() -> None:
    said = passage(["it is anna five at example dot com ok"])

    assert BOTH.spans(said) == [Span(11, 34, "EMAIL")]


def test_what_is_left_does_not_count_placeholders() -> None:
    def capitals(text: str) -> list[tuple[int, int, str]]:
        return [(at, at + 1, "CAPITAL") for at, char in enumerate(text) if char.isupper()]

    sys.modules["capital_rule"] = SimpleNamespace(capitals=capitals)  # type: ignore[assignment]
    rules = RuleSet([own_rule("capital_rule:capitals")])

    assert rules.left(passage(["hello [CAPITAL] there"])) == []
    assert [span.start for span in rules.left(passage(["hello [CAPITAL] There"]))] == [16]


@pytest.mark.parametrize("answer", [[(0, 1)], [(0, 99, "NAME")], [(-1, 1, "NAME")], [(0, 1, "a name")], [7]])
def test_an_answer_of_a_users_function_that_is_no_span_is_refused(
    answer: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "odd_rule", SimpleNamespace(find=lambda text: answer))

    with pytest.raises(UsageError, match="odd_rule:find"):
        RuleSet([own_rule("odd_rule:find")]).spans(passage(["hello"]))


def test_rules_that_are_not_there_are_refused_with_the_valid_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="valid: numbers, email"):
        rule_set(["names"])
    with pytest.raises(UsageError, match="no rule is named"):
        rule_set([])
    with pytest.raises(UsageError, match="cannot be read"):
        rule_set([], words=tmp_path / "none.txt")
    with pytest.raises(UsageError, match="PYTHONPATH"):
        rule_set([], function="no_such_module:find")
