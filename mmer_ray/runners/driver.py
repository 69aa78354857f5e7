"""The driver's loop: a runner's answers come in, commits go out.

    runner's iterator --thread "answers"--> bounded queue --thread "writer"--> lake

The queue is bounded, so a slow store makes the thread that draws from the runner wait, and the runner with it: memory
stays flat. One thread alone writes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from mmer_ray.errors import ErrorCode, MmerError, StoreError
from mmer_ray.lake.answers import Answers
from mmer_ray.lake.ledger import Ledger
from mmer_ray.runners.bounded_queue import BoundedQueue
from mmer_ray.runners.breaker import CircuitBreaker
from mmer_ray.runners.store_retry import StoreRetry

MAX_QUEUED_BYTES = 64 << 20
MAX_QUEUED = 64
"""Answers of so many shards. A shard of half an hour of speech is about 1 MB."""
LOOK_EVERY_S = 0.2
"""How often a wait looks whether the run shall stop, or a commit is due."""
DRAW_END_S = 2.0
"""Longest wait, at the end, for a runner that is in the middle of a batch. Its caller closes what it runs on."""

WATCHED = ("error_code", "message", "attempts")


class WritesAnswers(Protocol):
    """What the loop needs of `lake.writer.Writer`."""

    def add(self, answers: Answers) -> pa.Table: ...
    def due(self) -> bool: ...
    def commit(self) -> str | None: ...
    def finish(self) -> Ledger: ...
    def interrupt(self) -> Ledger: ...


@dataclass(frozen=True)
class Driven:
    """How the loop ended."""

    ledger: Ledger
    interrupted: bool
    """True when it was stopped before all answers were there."""


class Driver:
    """One run of the loop.

    driven = Driver(writer, num_todo, on_answers=tally.add, stop=stop).run(runner_answers)
    """

    def __init__(
        self,
        writer: WritesAnswers,
        num_todo: int,
        *,
        on_answers: Callable[[pa.Table], None],
        stop: threading.Event,
        retry: StoreRetry | None = None,
        max_queued_bytes: int = MAX_QUEUED_BYTES,
        max_queued: int = MAX_QUEUED,
    ) -> None:
        self._writer, self._on_answers, self._stop = writer, on_answers, stop
        self._num_todo, self._num_taken = num_todo, 0
        # A second thought about stopping cuts the waits short: `stop.wait` returns at once when it is set.
        self._retry = retry or StoreRetry(sleep=stop.wait)
        self._queue: BoundedQueue[Answers] = BoundedQueue(max_queued_bytes, max_queued)
        self._breaker = CircuitBreaker()
        self._is_exhausted = False
        self._interrupted = False
        self._draw_error: BaseException | None = None
        self._write_error: BaseException | None = None
        self._ledger: Ledger | None = None

    def run(self, answers: Iterator[Answers]) -> Driven:
        """Write answers until there are no more, or until `stop` is set: then what has arrived is committed.

        Raises `StoreError` when the store keeps failing, `SystematicFailureError` from the breaker, and whatever
        the runner or the writer raises. In each case what was committed stays; unless the store failed, what had
        arrived is committed too.
        """
        drawing = threading.Thread(target=self._draw, args=(answers,), name="answers", daemon=True)
        writing = threading.Thread(target=self._write, name="writer", daemon=True)
        drawing.start()
        writing.start()
        try:
            while writing.is_alive():
                writing.join(LOOK_EVERY_S)
                if self._stop.is_set():
                    self._queue.end()
        except BaseException:
            # A signal without a handler of ours: what has arrived is committed all the same.
            self._queue.end()
            writing.join()
            raise
        drawing.join(DRAW_END_S)
        if self._write_error is not None:
            raise self._write_error
        if self._draw_error is not None:
            raise self._draw_error
        assert self._ledger is not None, "the writer's thread ends with a ledger or an error"
        return Driven(self._ledger, self._interrupted)

    def _draw(self, answers: Iterator[Answers]) -> None:
        try:
            for some in answers:
                if not self._queue.put(some, some.num_bytes):
                    return
            self._is_exhausted = True
        except BaseException as error:
            # Raised in `run`: a thread's own traceback ends nothing.
            self._draw_error = error
        finally:
            if isinstance(answers, Generator):
                answers.close()
            self._queue.end()

    def _write(self) -> None:
        try:
            try:
                self._take_answers()
            finally:
                self._queue.end()
            is_cut_short = self._stop.is_set() or not self._is_exhausted
            self._interrupted = is_cut_short and self._num_taken < self._num_todo
            self._ledger = self._retry.call(self._writer.interrupt if self._interrupted else self._writer.finish)
        except StoreError as error:
            self._write_error = error
        except MmerError as error:
            self._write_error = error
            self._keep_what_arrived()
        except BaseException as error:
            self._write_error = error

    def _take_answers(self) -> None:
        while not self._queue.is_drained:
            some = self._queue.take(LOOK_EVERY_S)
            if some is not None:
                answered = self._writer.add(some)
                self._num_taken += answered.num_rows
                self._on_answers(answered)
                self._watch(answered)
            if self._writer.due():
                self._retry.call(self._writer.commit)

    def _watch(self, answered: pa.Table) -> None:
        """Let the circuit breaker count first tries: a few files that fail again each night say nothing of this run."""
        for code, message, attempt in zip(*(answered[name].to_pylist() for name in WATCHED), strict=True):
            if attempt == 1:
                self._breaker.count(ErrorCode(code) if code else None, message)

    def _keep_what_arrived(self) -> None:
        try:
            self._retry.call(self._writer.interrupt)
        except Exception as error:
            assert self._write_error is not None
            self._write_error.add_note(f"closing the run failed too: {error}")
