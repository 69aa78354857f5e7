"""The figures of the overview, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from dashboard import felt
from dashboard.felt import Step, step_for
from dashboard.filters import Filters
from dashboard.question import Question
from dashboard.questions import overview as questions
from dashboard.questions.corpora import all_corpora, choices, facts
from dashboard.session import Dashboard
from mmer_ray.lake.compaction import compact
from mmer_ray.lake.corpus_facts import state
from mmer_ray.lake.store import Lake
from tests.dashboard.lakes import call_lake
from tests.dashboard.makers import FIRST, SCORER, SECOND, THIRD, dashboard_of, make_lake

BOTH = ("sales", "support")
ALWAYS = Filters(min_confidence=0.001)
"""Leaves nothing out, but cannot be told from the sums of days."""


def rows(dashboard: Dashboard, question: Question) -> list[dict[str, Any]]:
    return dashboard.ask(question).to_pylist()


def totals(dashboard: Dashboard, filters: Filters, corpora: tuple[str, ...] = BOTH) -> dict[str, Any]:
    (held,) = rows(dashboard, questions.held(filters, corpora))
    return held | felt.totals(dashboard.ask(questions.felt(filters, corpora)))


def test_totals_are_the_sums_of_all_calls(dashboard: Dashboard) -> None:
    found = totals(dashboard, Filters())

    assert (found["num_files"], found["num_failed"], found["num_recordings"]) == (5, 1, 4)
    assert found["duration_ms"] == 1000 * (40 + 110 + 1 + 5)
    assert (found["num_utterances"], found["num_answered"]) == (10, 9)
    assert found["speech_ms"] == 1000 * (34 + 40 + 1 + 5)
    assert found["answered_ms"] == 1000 * (30 + 40 + 1 + 5)
    assert found["negative_ms"] == 1000 * (0 + 30 + 1 + 0)
    assert found["valence"] == pytest.approx((1.3 - 2.2 - 0.96 + 0.2) / 10, abs=1e-6)
    # That of the one without an answer, 0.4, is no confidence in anything.
    assert found["confidence"] == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(corpora=("support",), first_day=SECOND),
        Filters(labels=("angry", "sad")),
        Filters(roles=("customer", "unknown")),
        Filters(abstained=False),
        Filters(last_day=SECOND, labels=("happy",), roles=("customer",)),
    ],
)
def test_the_sums_of_days_and_the_utterances_say_the_same(dashboard: Dashboard, filters: Filters) -> None:
    by_utterance = replace(filters, min_confidence=ALWAYS.min_confidence)
    summed, counted = (rows(dashboard, questions.felt(one, BOTH)) for one in (filters, by_utterance))

    assert len(summed) == len(counted) > 0
    for one, other in zip(summed, counted, strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_a_compacted_lake_gives_the_same_figures(tmp_path: Path, dashboard: Dashboard) -> None:
    make_lake(tmp_path / "lake")
    compact(Lake(tmp_path / "lake"))
    with dashboard_of(tmp_path / "lake") as compacted:
        for question in (
            questions.felt(Filters(), BOTH),
            questions.held(Filters(), BOTH),
            questions.without_answer(Filters(), BOTH),
            questions.negative_by_quarter(Filters(), BOTH),
        ):
            for one, other in zip(rows(compacted, question), rows(dashboard, question), strict=True):
                assert one == pytest.approx(other, abs=1e-6)


def test_each_filter_leaves_out_what_it_says(dashboard: Dashboard) -> None:
    def number(filters: Filters, corpora: tuple[str, ...] = BOTH) -> int:
        return int(totals(dashboard, filters, corpora)["num_utterances"])

    assert number(Filters(), ("sales",)) == 1
    assert number(Filters(), ()) == 0
    assert number(Filters(first_day=SECOND, last_day=SECOND)) == 5
    assert number(Filters(labels=("angry",))) == 2
    assert number(Filters(roles=("agent",))) == 2
    assert number(Filters(roles=("unknown",))) == 1
    assert number(Filters(abstained=False)) == 9
    assert number(Filters(min_confidence=0.5)) == 9
    assert number(Filters(text="HELLO")) == 2
    assert number(Filters(text="'; DROP TABLE calls; --")) == 1
    assert number(Filters(text="100 %")) == 0


def test_nothing_chosen_gives_no_number_rather_than_zero_for_a_mean(dashboard: Dashboard) -> None:
    found = totals(dashboard, Filters(text="never said"))

    assert (found["num_utterances"], found["valence"], found["confidence"]) == (0, None, None)


def test_emotions_over_time_are_seconds_by_day_and_label(dashboard: Dashboard) -> None:
    rows_felt = dashboard.ask(questions.felt(Filters(corpora=("support",)), ("support",)))
    found = felt.over_time(rows_felt, Step.DAY).to_pylist()

    assert [(row["begins"], row["label"], row["speech_ms"]) for row in found] == [
        (FIRST, "happy", 20_000),
        (FIRST, "neutral", 10_000),
        (FIRST, None, 4_000),
        (SECOND, "angry", 20_000),
        (SECOND, "neutral", 10_000),
        (SECOND, "sad", 10_000),
        (THIRD, "sad", 1_000),
    ]


def test_weeks_begin_on_monday(dashboard: Dashboard) -> None:
    found = felt.over_time(dashboard.ask(questions.felt(Filters(), BOTH)), Step.WEEK).to_pylist()

    assert {row["begins"] for row in found} == {date(2026, 10, 26), date(2026, 11, 2)}


def test_emotions_by_role_are_seconds_of_who_has_it(dashboard: Dashboard) -> None:
    found = felt.by_role(dashboard.ask(questions.felt(Filters(), BOTH))).to_pylist()

    assert {(row["role"], row["label"]): row["speech_ms"] for row in found if row["role"] != "customer"} == {
        ("agent", "neutral"): 20_000,
        ("unknown", "sad"): 10_000,
    }


def test_negative_speech_is_told_by_quarter_of_each_recording(dashboard: Dashboard) -> None:
    found = rows(dashboard, questions.negative_by_quarter(Filters(corpora=("support",)), ("support",)))

    # Calm: 10, 10, 0 and 10 s; angry: 10 s in the first, 20 in the third, 10 in the last; short: 1 s in the first.
    assert [row["quarter"] for row in found] == [1, 2, 3, 4]
    assert [row["share"] for row in found] == pytest.approx([1 / 21, 0, 1, 1 / 2], nan_ok=True)


def test_valence_within_recordings_is_that_of_what_is_chosen(dashboard: Dashboard) -> None:
    def told(filters: Filters) -> list[float | None]:
        (row,) = rows(dashboard, questions.valence_by_quarter(filters, ("support",)))
        return [row[f"q{quarter}"] for quarter in range(1, 5)]

    # Calm: 0.5 in the second quarter, 0.1 in the third, 0.7 in the last; angry: -0.8 and -0.9 in the third; short:
    # -0.96 in the first. A recording counts once, however much is said in it.
    assert told(Filters(roles=("customer",))) == pytest.approx([-0.96, 0.5, (0.1 - 0.85) / 2, 0.7], abs=1e-6)
    assert told(Filters(labels=("happy",))) == [None, pytest.approx(0.5), None, pytest.approx(0.7)]
    assert told(Filters(text="never said")) == [None] * 4


def test_valence_within_recordings_is_the_same_of_the_measures_and_of_the_utterances(tmp_path: Path) -> None:
    call_lake(tmp_path, (60.0, 40.0))
    with dashboard_of(tmp_path / "lake") as found:
        measured, counted = (rows(found, questions.valence_by_quarter(one, ("calls",))) for one in (Filters(), ALWAYS))

    assert None not in measured[0].values()
    assert measured[0] == pytest.approx(counted[0], abs=1e-3)


def test_what_is_missing_is_counted_by_its_reason(dashboard: Dashboard) -> None:
    assert rows(dashboard, questions.without_answer(Filters(), BOTH)) == [
        {"reason": "low_confidence", "num_utterances": 1}
    ]
    assert rows(dashboard, questions.failures(Filters(), BOTH)) == [
        {"error_code": "empty_file", "error_stage": "decode", "num_recordings": 1, "claimed_s": 9.0}
    ]
    assert rows(dashboard, questions.failures(Filters(), ("sales",))) == []


def test_each_corpus_is_shown_with_its_model(dashboard: Dashboard) -> None:
    found = rows(dashboard, questions.by_corpus(Filters(), BOTH))

    assert [(row["corpus"], row["num_recordings"], row["num_failed"], row["scorer"]) for row in found] == [
        ("sales", 1, 0, SCORER),
        ("support", 3, 1, SCORER),
    ]


def test_what_there_is_to_choose_is_that_of_the_viewers_corpora(dashboard: Dashboard) -> None:
    assert rows(dashboard, all_corpora()) == [{"corpus": "sales"}, {"corpus": "support"}]
    (found,) = rows(dashboard, choices(("sales",)))
    assert found == {"first_day": SECOND, "last_day": SECOND, "labels": ["surprise"]}


def test_the_legal_basis_and_the_notice_are_those_that_were_stated_of_the_viewers_corpora(tmp_path: Path) -> None:
    make_lake(tmp_path / "lake")
    state(Lake(tmp_path / "lake"), "support", legal_basis="consent", notice_given=True)
    stated = {"corpus": "support", "legal_basis": "consent", "notice_given": True}
    with dashboard_of(tmp_path / "lake") as found:
        assert rows(found, facts(BOTH)) == [stated]
        assert rows(found, facts(("sales",))) == []


@pytest.mark.parametrize(("num_days", "step"), [(1, Step.DAY), (62, Step.DAY), (63, Step.WEEK), (800, Step.MONTH)])
def test_long_spans_are_put_together(num_days: int, step: Step) -> None:
    assert step_for(num_days) is step
