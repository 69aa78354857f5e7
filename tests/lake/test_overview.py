"""What the analyst sees first, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmer_ray.lake.conversation import Conversation
from mmer_ray.lake.overview import Moment, customer_of, negative_moments, overview_of, seconds_by_language, worst_moment
from mmer_ray.records import Utterance
from tests.cli.makers import said

ROW = {"uri": "/calls/one.opus", "recording_id": "ab12", "duration_ms": 90_000, "num_speakers": 2}
MONO = [said(0, 6, "hello", "S1"), said(6, 9, "no", "S2", label="angry", p_angry=0.8), said(10, 11, "fine", "S2")]


def call(utterances: list[Utterance]) -> Conversation:
    return Conversation(ROW, tuple(utterances), None, "mmer@1")


def test_a_call_is_summed_up_from_the_customers_side() -> None:
    found = overview_of(call(MONO))

    assert (found.name, found.customer, found.customer_emotion) == ("one.opus", "S2", "angry")
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

    worst = worst_moment(utterances)

    assert worst is not None
    assert worst.start_s == 40
    assert worst.bad_s == pytest.approx(3.6)


def test_moments_to_point_at_do_not_touch_and_the_worst_is_one_of_them() -> None:
    utterances = [
        said(0, 2, "loud", p_angry=1.0),
        said(25, 27, "again", p_angry=0.9),
        said(70, 72, "worse", p_angry=1.0),
        said(85, 87, "still", p_angry=0.95),
        said(130, 131, "a little", p_angry=0.5),
    ]

    moments = negative_moments(utterances)

    assert [one.start_s for one in moments] == [0, 70]
    assert moments[0].bad_s == pytest.approx(3.8)
    assert worst_moment(utterances) == moments[1]
    assert negative_moments(utterances[-1:]) == []


def test_moments_of_other_negative_labels_are_pointed_at_too_and_follow_no_anger() -> None:
    utterances = [
        said(0, 4, "he died", label="sad"),
        said(40, 42, "no", label="angry", p_angry=1.0),
        said(60, 64, "afraid", label="fear"),
        said(100, 104, "fine", label="happy"),
        said(140, 140.9, "oh", label="disgust"),
    ]

    moments = negative_moments(utterances)

    assert [(one.start_s, one.bad_s) for one in moments] == [(0, 4), (40, 2)]
    assert worst_moment(utterances) == moments[1]
    assert negative_moments(utterances[3:]) == []


def test_the_worst_moment_counts_everybody_and_begins_with_the_anger() -> None:
    utterances = [said(0, 6, "hello", "S1"), said(6, 9, "no", "S2", p_angry=1.0), said(9, 11, "so", "S1", p_angry=0.5)]

    assert worst_moment(utterances) == Moment(6, pytest.approx(4.0))


def test_languages_are_ranked_by_seconds_and_unknown_ones_left_out() -> None:
    spoken = [(0, 1, "de"), (1, 4, "en"), (4, 5, "de"), (5, 9, None)]
    utterances = [replace(said(start_s, end_s, "x"), language=language) for start_s, end_s, language in spoken]

    assert seconds_by_language(utterances) == {"en": 3, "de": 2}


def test_a_calm_call_has_no_worst_moment() -> None:
    assert worst_moment([said(0, 20, "fine", p_angry=0.04)]) is None


def test_a_call_in_which_nobody_speaks_is_a_row_too() -> None:
    found = overview_of(call([]))

    assert (found.customer, found.customer_emotion, found.talk_share, found.worst_start_s) == (
        None,
        "unknown",
        0.0,
        None,
    )
