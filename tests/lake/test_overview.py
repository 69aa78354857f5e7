"""What the analyst sees first, worked out by hand."""

from __future__ import annotations

import pytest

from mmer_ray.cli.overview import angriest_window, customer_of, overview_of
from mmer_ray.lake.conversation import Conversation
from mmer_ray.records import Utterance
from tests.cli.makers import said

ROW = {"uri": "/calls/one.opus", "recording_id": "ab12", "duration_ms": 90_000, "num_speakers": 2}
MONO = [said(0, 6, "hello", "S1"), said(6, 9, "no", "S2", label="angry", p_angry=0.8), said(10, 11, "fine", "S2")]


def call(utterances: list[Utterance]) -> Conversation:
    return Conversation(ROW, tuple(utterances), None, "mmer@1")


def test_a_call_is_summed_up_from_the_customers_side() -> None:
    found = overview_of(call(MONO))

    assert (found.name, found.customer, found.customer_feeling) == ("one.opus", "S2", "angry")
    assert found.angry_share == pytest.approx(0.75)
    assert found.talk_share == pytest.approx(0.4)
    assert found.worst_start_s == 6
    assert found.worst_angry_s == pytest.approx(2.4)


def test_a_role_decides_who_the_customer_is_before_the_order_of_speaking() -> None:
    utterances = [said(0, 1, "hello", "S1", role="customer"), said(1, 2, "hello", "S2", role="agent")]

    assert customer_of(utterances) == "S1"
    assert customer_of(MONO) == "S2"
    assert customer_of(MONO[:1]) is None


def test_the_worst_moment_is_the_half_minute_with_the_most_anger() -> None:
    utterances = [
        said(0, 2, "loud", p_angry=1.0),
        said(40, 42, "worse", p_angry=0.9),
        said(60, 62, "and worse", p_angry=0.9),
        said(71, 90, "long after", p_angry=0.01),
    ]

    start_s, angry_s = angriest_window(utterances)

    assert start_s == 40
    assert angry_s == pytest.approx(3.6)


def test_a_calm_call_has_no_worst_moment() -> None:
    assert angriest_window([said(0, 20, "fine", p_angry=0.04)])[0] is None


def test_a_call_in_which_nobody_speaks_is_a_row_too() -> None:
    found = overview_of(call([]))

    assert (found.customer, found.customer_feeling, found.talk_share, found.worst_start_s) == (
        None,
        "unknown",
        0.0,
        None,
    )
