"""Which recordings are listed, in which order, and where each one opens."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from dashboard.filters import Filters
from dashboard.links import recording_address
from dashboard.moments import PARTS, courses
from dashboard.questions import recordings as questions
from dashboard.questions.recording import recording
from dashboard.questions.recordings import Order
from dashboard.session import Dashboard
from mmer_ray.lake.overview import worst_moment
from tests.dashboard.makers import CALLS, FIRST, SECOND, commit_to, dashboard_of, make_lake

BOTH = ("sales", "support")


def names(dashboard: Dashboard, filters: Filters, order: Order, **more: Any) -> str:
    """The first letters of the ids that are listed."""
    found = dashboard.ask(questions.ranked(filters, filters.corpora or BOTH, order, more.pop("limit", 50), **more))
    return "".join(name[0] for name in found.column("recording_id").to_pylist())


def test_a_short_call_with_one_bad_sentence_does_not_lead_the_list(dashboard: Dashboard) -> None:
    # The short one has the lower valence, -0.96 against -0.9, but one utterance against four.
    assert names(dashboard, Filters(corpora=("support",)), Order.WORST) == "bca"


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (Order.NEGATIVE, "bcda"),
        (Order.INTERRUPTIONS, "abdc"),
        (Order.LONGEST, "badc"),
        (Order.NEWEST, "cdba"),
    ],
)
def test_every_order_puts_first_what_it_says(dashboard: Dashboard, order: Order, expected: str) -> None:
    # Of equals the order is that of corpus and id.
    assert names(dashboard, Filters(), order) == expected


def test_filters_of_utterances_choose_recordings_that_have_one(dashboard: Dashboard) -> None:
    assert names(dashboard, Filters(labels=("angry",)), Order.NEWEST) == "b"
    assert names(dashboard, Filters(text="hello"), Order.NEWEST) == "ba"
    assert names(dashboard, Filters(first_day=SECOND, last_day=SECOND), Order.NEWEST) == "db"
    assert names(dashboard, Filters(text="never said"), Order.NEWEST) == ""
    (row,) = dashboard.ask(questions.ranked(Filters(labels=("angry",)), BOTH, Order.WORST, 50)).to_pylist()
    assert row["num_matches"] == 2


@pytest.mark.parametrize(
    "filters", [Filters(), Filters(labels=("angry",)), Filters(text="hello"), Filters(abstained=False)]
)
def test_as_many_are_listed_as_are_counted(dashboard: Dashboard, filters: Filters) -> None:
    (counted,) = dashboard.ask(questions.how_many(filters, BOTH)).to_pylist()

    assert counted["num_recordings"] == len(names(dashboard, filters, Order.LONGEST))


def test_a_long_list_comes_in_parts(dashboard: Dashboard) -> None:
    assert names(dashboard, Filters(), Order.LONGEST, limit=2) == "ba"
    assert names(dashboard, Filters(), Order.LONGEST, limit=2, offset=2) == "dc"


def test_a_recording_of_another_corpus_is_in_no_list(dashboard: Dashboard) -> None:
    assert names(dashboard, Filters(corpora=("sales",)), Order.NEWEST) == "d"
    said = dashboard.ask(questions.said_in(("sales",), ["a" * 32, "d" * 32], [date(2026, 11, 1), SECOND]))
    assert set(said.column("recording_id").to_pylist()) == {"d" * 32}


def test_a_recording_opens_where_mmer_show_finds_its_worst_moment(dashboard: Dashboard) -> None:
    said = dashboard.ask(questions.said_in(BOTH, [name for name, *_ in CALLS], [day for _, _, day, _ in CALLS]))
    found = courses(
        said.to_pylist(), {(corpus, name): 1000 * some[-1][1] for name, corpus, _, some in CALLS}, Filters()
    )

    worst = worst_moment(dashboard.reader.conversation("b" * 32).utterances)
    assert worst is not None
    assert found["support", "b" * 32].worst_start_ms == 1000 * worst.start_s == 60_000
    assert found["sales", "d" * 32].worst_start_ms is None


def test_a_course_goes_from_begin_to_end_in_equal_parts(dashboard: Dashboard) -> None:
    said = dashboard.ask(questions.said_in(BOTH, ["b" * 32], [SECOND])).to_pylist()
    (course,) = courses(said, {("support", "b" * 32): 110_000}, Filters()).values()

    assert len(course.parts) == PARTS
    # Utterances begin at 0, 60, 70 and 100 s of 110: in parts 0, 6, 7 and 10.
    assert course.parts == pytest.approx((-0.1,) * 6 + (-0.8,) + (-0.9,) * 3 + (-0.4,) * 2, abs=1e-3)
    assert course.negative_share == pytest.approx(3 / 4)


@pytest.mark.parametrize(
    ("filters", "share"),
    [
        (Filters(), 3 / 4),
        (Filters(roles=("customer",)), 1.0),
        (Filters(roles=("agent", "unknown")), 1 / 2),
        # What is chosen by its emotion or its words still is a part of all that was said.
        (Filters(labels=("angry",)), 3 / 4),
        (Filters(text="refund"), 3 / 4),
        (Filters(min_confidence=0.5, abstained=False), 3 / 4),
    ],
)
def test_the_order_by_negative_speech_is_that_of_the_shares_that_are_shown(
    dashboard: Dashboard, filters: Filters, share: float
) -> None:
    said = dashboard.ask(questions.said_in(BOTH, ["b" * 32], [SECOND])).to_pylist()
    (course,) = courses(said, {("support", "b" * 32): 110_000}, filters).values()
    rows = dashboard.ask(questions.ranked(filters, ("support",), Order.NEGATIVE, 50)).to_pylist()
    row = next(row for row in rows if row["recording_id"] == "b" * 32)

    assert course.negative_share == pytest.approx(row["negative_ms"] / row["answered_ms"]) == pytest.approx(share)


def test_a_course_without_answers_is_not_drawn_as_a_neutral_one() -> None:
    row = {"corpus": "c", "recording_id": "r", "end_ms": 1_000, "p_angry": None, "confidence": None, "role": "agent"}
    silent = [row | {"start_ms": 0, "label": None, "valence": None}]
    late = [*silent, row | {"start_ms": 90_000, "end_ms": 91_000, "label": "sad", "valence": -0.5}]

    assert courses(silent, {("c", "r"): 120_000}, Filters())["c", "r"].parts == ()
    # What came before is not known, and is no rise or fall.
    assert courses(late, {("c", "r"): 120_000}, Filters())["c", "r"].parts == (-0.5,) * PARTS


def test_the_address_of_a_recording_names_its_corpus_and_second() -> None:
    assert recording_address("support", "b" * 32, 61_500) == {"recording": "b" * 32, "of": "support", "at": "61.5"}
    assert recording_address("support", "b" * 32, 60_000)["at"] == "60"
    assert "at" not in recording_address("support", "b" * 32)


def test_a_recording_has_the_same_name_in_the_list_as_on_its_page(tmp_path: Path) -> None:
    copy = {
        "recording_id": "a" * 32, "corpus": "support", "month": "2026-11", "day": FIRST, "heard_key": "heard",
        "uri": "/calls/0_copy.opus", "status": "scored", "is_copy": True,
    }  # fmt: skip
    commit_to(make_lake(tmp_path / "lake"), 2, {"recordings": [copy]})
    with dashboard_of(tmp_path / "lake") as dashboard:
        listed = dashboard.ask(questions.ranked(Filters(), BOTH, Order.NEWEST, 50)).to_pylist()
        (page,) = dashboard.ask(recording("a" * 32, "support", BOTH)).to_pylist()

    assert [row["uri"] for row in listed if row["recording_id"] == "a" * 32] == [page["uri"]] == ["/calls/a.opus"]
