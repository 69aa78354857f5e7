"""The driver's loop with a writer and a runner that do as they are told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pyarrow as pa
import pytest

from mmer_ray.errors import LakeError, StoreError, SystematicFailureError
from mmer_ray.lake.ledger import Ledger
from mmer_ray.runners.driver import Driver
from mmer_ray.runners.store_retry import StoreRetry


@dataclass(frozen=True)
class Some:
    """What a runner yields: here the answer for one recording."""

    number: int
    error_code: str | None = None
    attempts: int = 1
    num_bytes: int = 1

    @property
    def summary(self) -> pa.Table:
        row = {"number": self.number, "error_code": self.error_code, "message": "why", "attempts": self.attempts}
        return pa.Table.from_pylist([row])


@dataclass
class Writes:
    """A writer that commits whenever something was added, and fails where it is told to."""

    errors: list[Exception] = field(default_factory=list)
    on_add: Callable[[], None] = lambda: None
    added: list[Some] = field(default_factory=list)
    committed: list[Some] = field(default_factory=list)
    end: str | None = None
    threads: set[str] = field(default_factory=set)

    def add(self, answers: Some) -> pa.Table:
        self.on_add()
        self.threads.add(threading.current_thread().name)
        self.added.append(answers)
        return answers.summary

    def due(self) -> bool:
        return len(self.added) > len(self.committed)

    def commit(self) -> str | None:
        self.threads.add(threading.current_thread().name)
        if self.errors:
            raise self.errors.pop(0)
        self.committed = list(self.added)
        return "commit"

    def finish(self) -> Ledger:
        self.commit()
        self.end = "finished"
        return Ledger(num_scored=len(self.committed))

    def interrupt(self) -> Ledger:
        self.commit()
        self.end = "interrupted"
        return Ledger(num_scored=len(self.committed))


def some(num: int, code: str | None = None, attempts: int = 1) -> Iterator[Some]:
    return (Some(number, code, attempts) for number in range(num))


def driver(writer: Writes, **changes: Any) -> Driver:
    asked = {
        "num_todo": 1_000_000,
        "on_answers": lambda _: None,
        "stop": threading.Event(),
        "retry": StoreRetry((1.0, 2.0), sleep=lambda _: None),
        **changes,
    }
    return Driver(cast(Any, writer), **asked)


def run(writer: Writes, answers: Iterator[Some], **changes: Any) -> Any:
    return driver(writer, **changes).run(cast(Any, answers))


def test_all_answers_are_written_by_one_thread_and_the_run_is_finished() -> None:
    writer = Writes()
    driven = run(writer, some(100))
    assert (driven.interrupted, driven.ledger.num_scored, writer.end) == (False, 100, "finished")
    assert writer.threads == {"writer"}


def test_a_slow_writer_makes_the_runner_wait_so_that_memory_is_bounded() -> None:
    drawn, ahead, writer = 0, [], Writes()
    writer.on_add = lambda: ahead.append(drawn - len(writer.added))

    def answers() -> Iterator[Some]:
        nonlocal drawn
        for one in some(200):
            drawn += 1
            yield one

    run(writer, answers(), max_queued=5)
    assert len(writer.committed) == 200
    # Five in the queue, one that waits before it, one with the writer.
    assert max(ahead) <= 7


def test_the_queue_is_bounded_in_bytes_too_and_lets_a_larger_answer_pass() -> None:
    writer = Writes()
    large = (Some(number, num_bytes=1_000) for number in range(10))
    assert run(writer, large, max_queued_bytes=100).ledger.num_scored == 10


def test_a_store_that_fails_for_a_moment_costs_nothing() -> None:
    writer = Writes(errors=[OSError("gone"), StoreError("still gone")])
    waits: list[float] = []
    run(writer, some(3), retry=StoreRetry((1.0, 2.0), sleep=waits.append))
    assert (len(writer.committed), writer.end, waits) == (3, "finished", [1.0, 2.0])


def test_a_store_that_stays_away_ends_the_run_with_what_was_committed_and_the_remedy() -> None:
    writer = Writes()

    def answers() -> Iterator[Some]:
        yield from some(3)
        while len(writer.committed) < 3:
            threading.Event().wait(0.01)
        writer.errors = [OSError("no route to host")] * 10
        yield from some(3)

    with pytest.raises(StoreError, match=r"3 times within 3 s: no route to host.*run the same command again"):
        run(writer, answers())
    assert (len(writer.committed), writer.end) == (3, None)


def test_an_error_that_is_not_the_stores_is_not_tried_again() -> None:
    writer = Writes(errors=[LakeError("another writer")])
    with pytest.raises(LakeError, match="another writer"):
        run(writer, some(3))


def test_an_error_of_the_runner_comes_out_and_what_came_before_it_is_committed() -> None:
    def answers() -> Iterator[Some]:
        yield from some(4)
        raise ZeroDivisionError("a bug")

    writer = Writes()
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run(writer, answers())
    assert (len(writer.committed), writer.end) == (4, "interrupted")


def test_recordings_that_fail_for_one_reason_end_the_run_and_keep_their_rows() -> None:
    writer = Writes()
    with pytest.raises(SystematicFailureError, match="internal: why"):
        run(writer, some(1_000, "internal"))
    assert 20 <= len(writer.committed) < 1_000
    assert writer.end == "interrupted"


def test_files_that_fail_again_each_night_do_not_end_a_run() -> None:
    writer = Writes()
    assert not run(writer, some(500, "internal", attempts=2)).interrupted
    assert writer.end == "finished"


def test_stopping_commits_what_has_arrived_though_the_runner_hangs() -> None:
    stop, hang = threading.Event(), threading.Event()

    def answers() -> Iterator[Some]:
        yield from some(5)
        stop.set()
        hang.wait()

    writer = Writes()
    loop = driver(writer, stop=stop)
    ended = threading.Timer(1.0, hang.set)
    ended.start()
    driven = loop.run(cast(Any, answers()))
    assert (driven.interrupted, len(writer.committed), writer.end) == (True, 5, "interrupted")


def test_a_runner_that_ends_because_it_was_told_to_has_not_finished() -> None:
    stop = threading.Event()

    def answers() -> Iterator[Some]:
        yield from some(5)
        stop.set()

    writer = Writes()
    assert run(writer, answers(), stop=stop, num_todo=6).interrupted
    assert (len(writer.committed), writer.end) == (5, "interrupted")


def test_a_stop_after_the_last_answer_changes_nothing() -> None:
    stop = threading.Event()

    def answers() -> Iterator[Some]:
        yield from some(5)
        stop.set()

    writer = Writes()
    assert not run(writer, answers(), stop=stop, num_todo=5).interrupted
    assert writer.end == "finished"


def test_every_answer_is_told_as_it_is_taken() -> None:
    told: list[int] = []
    run(Writes(), some(7), on_answers=lambda answered: told.extend(answered["number"].to_pylist()))
    assert told == list(range(7))
