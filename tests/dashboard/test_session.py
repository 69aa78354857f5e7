"""What pages share: answers are kept while they are true, and no longer."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dashboard.question import Question
from dashboard.session import Answers, BusyError, Dashboard, Settings
from mmer_ray.errors import LakeError, PreflightError
from mmer_ray.lake.limits import MemoryLimitError
from tests.dashboard.makers import FIRST, commit_to, dashboard_of, make_lake

COUNT = Question.of("SELECT count(*) AS number FROM recordings WHERE corpus = $corpus", corpus="support")


def test_the_same_question_is_asked_of_the_lake_once(dashboard: Dashboard) -> None:
    first = dashboard.ask(COUNT)

    assert first.to_pylist() == [{"number": 4}]
    assert dashboard.ask(Question.of(COUNT.sql, corpus="support")) is first
    assert dashboard.ask(Question.of(COUNT.sql, corpus="sales")) is not first


def test_a_new_commit_gives_new_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.session.REFRESH_S", 0.0)
    lake = make_lake(tmp_path / "lake")
    with dashboard_of(tmp_path / "lake") as dashboard:
        assert dashboard.ask(COUNT).to_pylist() == [{"number": 4}]
        failed = {"recording_id": "f" * 32, "corpus": "support", "month": "2026-11", "day": FIRST, "uri": "/new"}
        commit_to(lake, 2, {"recordings": [failed | {"status": "failed"}]})

        assert dashboard.ask(COUNT).to_pylist() == [{"number": 5}]


def test_answers_about_another_moment_are_forgotten_at_once() -> None:
    answers, table = Answers(), pa.table({"text": ["erased since"]})
    answers.find("1", COUNT)
    answers.keep("1", COUNT, table)

    assert answers.find("1", COUNT) is table
    assert answers.find("2", COUNT) is None
    assert answers.find("1", COUNT) is None
    answers.keep("2", COUNT, table)
    assert answers.find("1", COUNT) is None


def test_the_least_used_answers_make_room() -> None:
    table = pa.table({"number": pa.array(range(100), pa.int64())})
    questions = [Question.of(f"SELECT {number}") for number in range(4)]
    answers = Answers(max_bytes=3 * table.nbytes)
    answers.find("1", COUNT)
    for question in questions[:3]:
        answers.keep("1", question, table)
    answers.find("1", questions[0])
    answers.keep("1", questions[3], table)

    kept = [answers.find("1", question) is not None for question in questions]
    assert kept == [True, False, True, True]


def test_an_answer_that_would_fill_the_room_is_not_kept() -> None:
    table = pa.table({"number": pa.array(range(100), pa.int64())})
    answers = Answers(max_bytes=table.nbytes)
    answers.find("1", COUNT)
    answers.keep("1", COUNT, table)

    assert answers.find("1", COUNT) is None


class Room:
    """In place of a lake's reader: it has room for one large question at a time, for no other one beside it, and
    refuses what does not find any. Large ones take until `full` is set."""

    def __init__(self) -> None:
        self.num_asked, self.begun, self.full = 0, threading.Event(), threading.Event()
        self._taken = threading.Lock()

    def table(self, query: str, parameters: Mapping[str, Any]) -> pa.Table:
        self.num_asked += 1
        if not self._taken.acquire(blocking=False):
            self.full.set()
            raise MemoryLimitError("this needs more memory than there is")
        try:
            self.begun.set()
            assert "large" not in query or self.full.wait(60)
            return pa.table({"query": [query]})
        finally:
            self._taken.release()


@pytest.fixture
def room(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> Room:
    room = Room()
    monkeypatch.setattr(dashboard.reader, "table", room.table)
    return room


def large(number: int) -> Question:
    return replace(Question.of(f"SELECT {number} AS large"), is_large=True)


def test_large_questions_are_answered_one_after_the_other(dashboard: Dashboard, room: Room) -> None:
    room.full.set()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(dashboard.ask, [large(number) for number in range(20)]))

    assert [one.to_pylist() for one in answers] == [[{"query": f"SELECT {number} AS large"}] for number in range(20)]


def test_who_waits_for_the_same_large_question_finds_its_answer(dashboard: Dashboard, room: Room) -> None:
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(dashboard.ask, large(1))
        assert room.begun.wait(60)
        second = pool.submit(dashboard.ask, large(1))
        room.full.set()

        assert second.result(60) is first.result(60)
    assert room.num_asked == 1


def test_a_question_that_finds_no_room_beside_a_large_one_is_answered_after_it(
    dashboard: Dashboard, room: Room
) -> None:
    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(dashboard.ask, large(1))
        assert room.begun.wait(60)
        # Its refusal lets the large one end.
        assert dashboard.ask(Question.of("SELECT 2")).to_pylist() == [{"query": "SELECT 2"}]
        assert answer.result(60).to_pylist() == [{"query": "SELECT 1 AS large"}]
    assert room.num_asked == 3


def test_whose_turn_does_not_come_is_told_so(dashboard: Dashboard, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.session.TURN_S", 0.01)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(dashboard.ask, large(1))
        assert room.begun.wait(60)
        with pytest.raises(BusyError, match="try again"):
            dashboard.ask(large(2))
        room.full.set()
        assert answer.result(60).num_rows == 1


def test_the_sql_that_is_shown_holds_its_values_and_gives_the_same_answer(dashboard: Dashboard) -> None:
    question = Question.of(
        "SELECT $text AS a, $texts AS b, $day AS c, $number AS d, $nothing AS e, $no_text AS f",
        text="a\n'; DROP TABLE calls; --\u202e",
        texts=("x", "it's $day"),
        day=date(2026, 11, 1),
        number=0.25,
        nothing=None,
        no_text="",
    )
    shown = question.shown()

    assert len(shown.splitlines()) == 1
    assert "\u202e" not in shown
    assert dashboard.reader.sql(shown).to_pylist() == dashboard.ask(question).to_pylist()


def test_a_lake_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="nothing"):
        Dashboard(Settings(str(tmp_path / "nothing")))


def test_an_audit_log_that_cannot_be_written_ends_the_start(lake: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PreflightError, match="--audit-log"):
        Dashboard(Settings(str(lake), audit_log=tmp_path / "file" / "audit.jsonl"))
