"""Batches of work from many callers: formed when a slot is free, so that they are as full as the load allows."""

from __future__ import annotations

import threading
from bisect import insort
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import monotonic
from typing import Generic, TypeVar

from mmer_ray.models.batches import length_buckets

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(eq=False)
class _Entry(Generic[Item, Answer]):
    item: Item
    cost: float
    patience_s: float = 0.0
    since_s: float = field(default_factory=monotonic)
    future: Future[Answer] = field(default_factory=Future)

    @property
    def turn_s(self) -> float:
        """When it is its turn, unless a slot is free before."""
        return self.since_s + self.patience_s


class Batcher(Generic[Item, Answer]):
    """Runs `work` on batches of submitted items, in `slots` threads of its own.

    A free slot takes a batch as soon as what waits fills one, or when the oldest item has waited `max_wait_s`; a lone
    item comes out without another. A batch holds items of like cost (`min_share`), the oldest among them, of at most
    `limit` padded cost (items times the largest), or one item. Items whose future was cancelled are dropped. Where a
    batch of several fails, each is tried alone, so that only the culprits' futures carry the exception.

    Patient items let others go first that come up to `patience_s` after them, and share no batch with these.
    """

    def __init__(
        self,
        work: Callable[[list[Item]], Sequence[Answer]],
        cost: Callable[[Item], float],
        limit: float,
        max_wait_s: float,
        slots: int,
        *,
        min_share: float = 0.0,
        name: str = "batcher",
    ) -> None:
        """`work` gives one answer per item, in order, and must be safe to call from `slots` threads."""
        self._work = work
        self._cost = cost
        self._limit = limit
        self._max_wait_s = max_wait_s
        self._min_share = min_share
        self._waiting: list[_Entry[Item, Answer]] = []
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"{name}-{slot}", daemon=True) for slot in range(slots)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, item: Item, patience_s: float = 0.0) -> Future[Answer]:
        """Queue one item. Raises `RuntimeError` once closed."""
        entry: _Entry[Item, Answer] = _Entry(item, self._cost(item), patience_s)
        with self._changed:
            if self._closed:
                raise RuntimeError("this batcher is closed")
            insort(self._waiting, entry, key=lambda one: one.turn_s)
            self._changed.notify()
        return entry.future

    def close(self) -> None:
        """Work on everything that waits, then end the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while batch := self._next():
            self._run(batch)
            # Not kept alive until the next batch comes.
            del batch

    def _next(self) -> list[_Entry[Item, Answer]]:
        """Wait for a batch; empty once closed and drained."""
        with self._changed:
            while True:
                self._waiting = [entry for entry in self._waiting if not entry.future.cancelled()]
                if not self._waiting:
                    if self._closed:
                        return []
                    self._changed.wait()
                    continue
                wait_s = self._wait_s()
                if wait_s > 0:
                    self._changed.wait(wait_s)
                elif batch := self._take():
                    return batch

    def _wait_s(self) -> float:
        if self._closed or sum(entry.cost for entry in self._waiting) >= self._limit:
            return 0.0
        return self._waiting[0].since_s + self._max_wait_s - monotonic()

    def _take(self) -> list[_Entry[Item, Answer]]:
        """Take the batch of the first entry out of those that wait."""
        alike = [entry for entry in self._waiting if entry.patience_s == self._waiting[0].patience_s]
        costs = [entry.cost for entry in alike]
        bucket = next(bucket for bucket in length_buckets(costs, self._limit, self._min_share) if 0 in bucket)
        batch = [alike[index] for index in sorted(bucket)]
        taken = set(map(id, batch))
        self._waiting = [entry for entry in self._waiting if id(entry) not in taken]
        return [entry for entry in batch if entry.future.set_running_or_notify_cancel()]

    def _run(self, batch: list[_Entry[Item, Answer]]) -> None:
        try:
            answers = self._work([entry.item for entry in batch])
            assert len(answers) == len(batch), "work gives one answer per item"
        except BaseException as error:
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                return
            for entry in batch:
                self._run([entry])
            return
        for entry, answer in zip(batch, answers, strict=True):
            entry.future.set_result(answer)
