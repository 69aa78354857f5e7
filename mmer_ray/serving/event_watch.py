"""From events that somebody else sets to stops that wake the work up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from mmer_ray.audio.stop import Stop

LOOK_EVERY_S = 0.05
"""A `threading.Event` tells nobody that it was set. One thread looks at all of them: each caller looking for itself
would wake up as often as all of them together."""


class EventWatch:
    """Sets stops once their events are set; a context manager. Its thread sleeps while there is nothing to watch."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: dict[Stop, threading.Event] = {}
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="event-watch", daemon=True)

    def __enter__(self) -> EventWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    @contextmanager
    def watching(self, event: threading.Event | None, stop: Stop) -> Iterator[None]:
        """Inside the block `stop` is set soon after `event`; at once where that is set already."""
        if event is None:
            yield
            return
        if event.is_set():
            stop.set()
        with self._changed:
            self._watched[stop] = event
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                del self._watched[stop]

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed or self._watched)
                if self._is_closed:
                    return
                due = [stop for stop, event in self._watched.items() if event.is_set()]
            for stop in due:
                stop.set()
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed, LOOK_EVERY_S)
