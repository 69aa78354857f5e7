"""Batches out of single items."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from mmer_ray.pipelines.batcher import Batcher

SOON_S = 30.0
"""More than any answer here takes on a busy machine: a test that waits so long has failed."""


class Work:
    """Doubles numbers, remembers its batches, and waits at a gate where it is closed."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Semaphore(0)

    def __call__(self, items: list[float]) -> Sequence[float]:
        self.batches.append(items)
        self.begun.release()
        assert self.gate.wait(SOON_S)
        if any(item < 0 for item in items):
            raise ZeroDivisionError(str(items))
        return [2 * item for item in items]


@contextmanager
def batcher(work: Work, limit: float = 100.0, max_wait_s: float = 0.0, slots: int = 1) -> Iterator[Batcher]:
    opened: Batcher[float, float] = Batcher(work, abs, limit, max_wait_s, slots, min_share=0.5)
    try:
        yield opened
    finally:
        work.gate.set()
        opened.close()


@contextmanager
def busy(work: Work, opened: Batcher) -> Iterator[None]:
    """The only slot is at work inside the block."""
    work.gate.clear()
    first = opened.submit(1.0)
    assert work.begun.acquire(timeout=SOON_S)
    work.batches.clear()
    yield
    work.gate.set()
    assert first.result(SOON_S) == 2.0


def test_a_lone_item_comes_out_while_the_input_stays_open() -> None:
    with batcher(Work(), max_wait_s=0.05) as opened:
        assert opened.submit(3.0).result(SOON_S) == 6.0


def test_what_waits_while_the_slot_is_taken_becomes_one_batch() -> None:
    work = Work()
    with batcher(work) as opened:
        with busy(work, opened):
            futures = [opened.submit(item) for item in (3.0, 4.0, 5.0)]
        assert [future.result(SOON_S) for future in futures] == [6.0, 8.0, 10.0]
    assert work.batches == [[3.0, 4.0, 5.0]]


def test_a_batch_is_padded_to_no_more_than_the_limit() -> None:
    work = Work()
    with batcher(work, limit=12.0) as opened:
        with busy(work, opened):
            futures = [opened.submit(item) for item in (4.0, 3.0, 4.0, 3.5, 30.0)]
        assert [future.result(SOON_S) for future in futures] == [8.0, 6.0, 8.0, 7.0, 60.0]
    assert all(len(batch) == 1 or len(batch) * max(batch) <= 12 for batch in work.batches)
    assert sorted(item for batch in work.batches for item in batch) == [3.0, 3.5, 4.0, 4.0, 30.0]


def test_items_of_one_batch_are_of_like_cost() -> None:
    work = Work()
    with batcher(work) as opened:
        with busy(work, opened):
            futures = [opened.submit(item) for item in (1.0, 9.0, 1.5, 8.0)]
        assert [future.result(SOON_S) for future in futures] == [2.0, 18.0, 3.0, 16.0]
    assert work.batches == [[1.0, 1.5], [9.0, 8.0]]


def test_a_full_batch_does_not_wait() -> None:
    work = Work()
    with batcher(work, limit=6.0, max_wait_s=1_000.0) as opened:
        futures = [opened.submit(item) for item in (3.0, 3.0)]
        assert [future.result(SOON_S) for future in futures] == [6.0, 6.0]
        assert not opened.submit(1.0).done()


def test_cancelled_items_are_dropped() -> None:
    work = Work()
    with batcher(work) as opened:
        with busy(work, opened):
            dropped, kept = opened.submit(3.0), opened.submit(4.0)
            assert dropped.cancel()
        assert kept.result(SOON_S) == 8.0
    assert work.batches == [[4.0]]


def test_one_bad_item_fails_alone() -> None:
    work = Work()
    with batcher(work) as opened:
        with busy(work, opened):
            futures = [opened.submit(item) for item in (3.0, -4.0, 5.0)]
        assert (futures[0].result(SOON_S), futures[2].result(SOON_S)) == (6.0, 10.0)
        with pytest.raises(ZeroDivisionError, match="-4"):
            futures[1].result(SOON_S)
        assert opened.submit(6.0).result(SOON_S) == 12.0


def test_slots_work_side_by_side() -> None:
    work = Work()
    with batcher(work, slots=2) as opened:
        work.gate.clear()
        for item in (3.0, 4.0):
            opened.submit(item)
            assert work.begun.acquire(timeout=SOON_S)
        assert work.batches == [[3.0], [4.0]]


def test_closing_works_on_everything_that_waits_and_takes_nothing_more() -> None:
    work = Work()
    opened: Batcher[float, float] = Batcher(work, abs, 100.0, 1_000.0, 2)
    futures = [opened.submit(item) for item in (3.0, 4.0)]
    opened.close()
    assert [future.result(0) for future in futures] == [6.0, 8.0]
    with pytest.raises(RuntimeError, match="closed"):
        opened.submit(1.0)


def test_patient_items_let_others_pass_and_share_no_batch_with_them() -> None:
    work = Work()
    with batcher(work) as opened:
        with busy(work, opened):
            futures = [opened.submit(item, patience_s=SOON_S) for item in (3.0, 4.0)]
            futures += [opened.submit(item) for item in (3.5, 4.5)]
        assert [future.result(SOON_S) for future in futures] == [6.0, 8.0, 7.0, 9.0]
    assert work.batches == [[3.5, 4.5], [3.0, 4.0]]


def test_patience_ends() -> None:
    work = Work()
    with batcher(work) as opened:
        with busy(work, opened):
            futures = [opened.submit(3.0, patience_s=0.001)]
            threading.Event().wait(0.05)
            futures.append(opened.submit(4.0))
        assert [future.result(SOON_S) for future in futures] == [6.0, 8.0]
    assert work.batches == [[3.0], [4.0]]
