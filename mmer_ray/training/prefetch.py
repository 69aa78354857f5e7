"""Preparing batches while the model learns from the last one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

Item = TypeVar("Item")
CHECK_S = 0.2
"""How soon the thread notices that nobody wants more."""


def prefetch(items: Iterator[Item], depth: int = 8) -> Iterator[Item]:
    """Draw from an iterator in a daemon thread, at most `depth` items ahead; same items, same order.

    Mixing speech is NumPy and SciPy work that lets go of the interpreter's lock, as the model's own does. An
    exception in the thread comes out of the iteration. The thread ends with the items, or when the iteration is closed.
    """
    ready: queue.Queue[Item | BaseException] = queue.Queue(depth)
    is_over = threading.Event()

    def offer(item: Item | BaseException) -> None:
        while not is_over.is_set():
            try:
                ready.put(item, timeout=CHECK_S)
            except queue.Full:
                continue
            return

    def draw() -> None:
        try:
            for item in items:
                offer(item)
                if is_over.is_set():
                    return
            offer(StopIteration())
        except BaseException as bug:
            offer(bug)

    threading.Thread(target=draw, name="prefetch", daemon=True).start()
    try:
        while not isinstance(item := ready.get(), StopIteration):
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        is_over.set()
