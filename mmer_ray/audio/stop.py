"""Telling work in another thread that nobody waits for it any more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stop:
    """Set once, from any thread; whoever is at work meanwhile is called at once, in the thread that sets it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[object, Callable[[], None]] = {}
        self._is_set = False

    @property
    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        """Stop the work; again it does nothing."""
        with self._lock:
            if self._is_set:
                return
            self._is_set = True
            for call in self._calls.values():
                call()

    @contextmanager
    def calling(self, call: Callable[[], None]) -> Iterator[None]:
        """Call `call` if it is set before the block ends, at once where it is set already; never afterwards.

        `call` must be short and must not come back here.
        """
        key = object()
        with self._lock:
            self._calls[key] = call
            if self._is_set:
                call()
        try:
            yield
        finally:
            # Waits for a call in progress: what it touches may belong to somebody else from here on.
            with self._lock:
                del self._calls[key]
