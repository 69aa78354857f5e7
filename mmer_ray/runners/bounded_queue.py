"""A queue that holds a bounded number of bytes: who puts faster than is taken waits."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class BoundedQueue(Generic[Item]):
    """Items from one thread to another, at most `max_items` of them and `max_bytes` in all.

    One item always fits, however large. Once ended, nothing more goes in; what is inside can still be taken.
    """

    def __init__(self, max_bytes: int, max_items: int) -> None:
        self._max_bytes, self._max_items = max_bytes, max_items
        self._items: deque[tuple[Item, int]] = deque()
        self._num_bytes = 0
        self._ended = False
        self._changed = threading.Condition()

    def put(self, item: Item, num_bytes: int) -> bool:
        """Wait until there is room, then add the item. Returns False, without adding it, once the queue has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._has_room(num_bytes))
            if self._ended:
                return False
            self._items.append((item, num_bytes))
            self._num_bytes += num_bytes
            self._changed.notify_all()
        return True

    def take(self, timeout_s: float) -> Item | None:
        """The oldest item; None when there is none after `timeout_s` seconds, or none will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._ended, timeout_s)
            if not self._items:
                return None
            item, num_bytes = self._items.popleft()
            self._num_bytes -= num_bytes
            self._changed.notify_all()
        return item

    def end(self) -> None:
        """Let nothing more in, and wake who waits."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def is_drained(self) -> bool:
        """True when the queue has ended and everything was taken."""
        with self._changed:
            return self._ended and not self._items

    def _has_room(self, num_bytes: int) -> bool:
        if not self._items:
            return True
        return len(self._items) < self._max_items and self._num_bytes + num_bytes <= self._max_bytes
