"""Preparing batches while the model learns from the last one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

Item = TypeVar("Item")


def prefetch(items: Iterator[Item], depth: int = 8) -> Iterator[Item]:
    """Draw from an endless iterator in a daemon thread, at most `depth` items ahead; same items, same order.

    Mixing speech is NumPy and SciPy work that lets go of the interpreter's lock, as the model's own does. An
    exception in the thread comes out of the iteration.
    """
    ready: queue.Queue[Item | BaseException] = queue.Queue(depth)

    def draw() -> None:
        try:
            for item in items:
                ready.put(item)
        except BaseException as bug:
            ready.put(bug)

    threading.Thread(target=draw, name="prefetch", daemon=True).start()
    while True:
        item = ready.get()
        if isinstance(item, BaseException):
            raise item
        yield item
