"""Filters: what is chosen, in the address and out of it again."""

from __future__ import annotations

from datetime import date
from urllib.parse import parse_qs

from hypothesis import given
from hypothesis import strategies as some

from dashboard.access import Viewer
from dashboard.filters import MAX_TEXT_CHARS, ROLES, Filters, filters_of, unheeded

DAYS = some.dates(date(2000, 1, 1), date(2099, 12, 31))
SPANS = some.none() | some.tuples(DAYS, DAYS).map(sorted)
WORDS = some.lists(some.text(some.characters(exclude_categories=["Cs"]), min_size=1), max_size=3).map(tuple)
TEXTS = some.text(some.characters(exclude_categories=["Cs"]), max_size=MAX_TEXT_CHARS)


@given(WORDS, SPANS, WORDS, some.sets(some.sampled_from(ROLES)).map(tuple), TEXTS, some.booleans())
def test_filters_come_back_from_an_address_as_they_were(
    corpora: tuple[str, ...],
    span: list[date] | None,
    labels: tuple[str, ...],
    roles: tuple[str, ...],
    text: str,
    abstained: bool,
) -> None:
    first, last = span or (None, None)
    filters = Filters(corpora, first, last, labels, roles, 0.35, text, abstained)

    assert filters_of(parse_qs(filters.to_address(), keep_blank_values=True)) == filters


def test_no_filter_needs_no_address() -> None:
    assert Filters().to_address() == ""
    assert filters_of({}) == Filters()


def test_what_cannot_be_read_sets_no_limit() -> None:
    address = {"days": ["yesterday"], "confidence": ["lots"], "role": ["boss"], "abstained": ["perhaps"]}

    assert filters_of(address) == Filters()
    assert filters_of({"confidence": ["nan"]}) == Filters()
    assert filters_of({"confidence": ["7"]}) == Filters()


def test_what_an_address_asks_and_no_filter_takes_is_named() -> None:
    days, labels = (date(2026, 11, 2), date(2026, 11, 20)), ["angry", "sad"]
    good = {"days": ["2026-11-02", "2026-11-20"], "label": ["sad"], "role": ["agent"], "confidence": ["0.4"]}

    assert unheeded(good, days, labels) == []
    assert unheeded({"confidence": ["0"], "corpus": ["sales"], "text": ["x"]}, days, labels) == []
    assert unheeded({"days": ["2026-11-01", "2026-11-20"]}, days, labels) == ["days=2026-11-01", "days=2026-11-20"]
    assert unheeded({"days": ["yesterday"]}, days, labels) == ["days=yesterday"]
    assert unheeded({"days": ["2026-11-02"]}, (None, None), labels) == ["days=2026-11-02"]
    assert unheeded({"label": ["sad", "bored"], "role": ["boss"], "confidence": ["7"]}, days, labels) == [
        "label=bored",
        "role=boss",
        "confidence=7",
    ]


def test_a_corpus_that_nobody_may_see_finds_nothing_rather_than_everything() -> None:
    viewer = Viewer("anna", ("support",))

    assert Filters(corpora=("sales",)).scope(viewer, ["sales", "support"]) == ()
    assert Filters(corpora=("sales", "support")).scope(viewer, ["sales", "support"]) == ("support",)
    assert Filters().scope(viewer, ["sales", "support"]) == ("support",)


def test_the_days_before_are_as_many_and_end_where_these_begin() -> None:
    filters = Filters(first_day=date(2026, 11, 8), last_day=date(2026, 11, 14), text="refund")

    assert filters.previous() == Filters(first_day=date(2026, 11, 1), last_day=date(2026, 11, 7), text="refund")
    assert Filters(first_day=date(2026, 11, 8)).previous() is None
