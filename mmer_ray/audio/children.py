"""A bounded pool of decoding children, shared by threads."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mmer_ray.audio.guard import GuardedChild
from mmer_ray.audio.stop import Stop
from mmer_ray.errors import AudioError, ErrorCode

NOBODY_WAITS = "nobody waits for this recording any more"


@dataclass(eq=False, slots=True)
class Place:
    """Room for one child, held by one thread at a time."""

    child: GuardedChild | None = None
    """None until one is needed, and after one was killed."""
    holder: int = 0
    """Identifier of the thread that holds the place."""


class ChildPool:
    """At most `num_children` children. They start when first needed and stay for the next user."""

    def __init__(self, num_children: int, start: Callable[[], GuardedChild]) -> None:
        """`start` begins a child and does not wait until it is ready."""
        self._start = start
        self._places = [Place() for _ in range(num_children)]
        self._free = list(self._places)
        self._changed = threading.Condition()
        self._closed = False

    @property
    def is_closed(self) -> bool:
        return self._closed

    def children(self) -> list[GuardedChild]:
        """The children that run or have run last."""
        return [child for place in self._places if (child := place.child) is not None]

    @contextlib.contextmanager
    def place(self, stop: Stop | None = None) -> Iterator[Place]:
        """Hold a place, waiting until one is free, or until `stop` is set: then it raises `AudioError`.

        Raises RuntimeError when the pool is closed, and when the calling thread holds all places: it would wait for
        itself.
        """
        stop = stop or Stop()
        with stop.calling(self._wake):
            place = self._take(stop)
        try:
            yield place
        finally:
            self._give_back(place)

    def ready_child(self, place: Place) -> GuardedChild:
        """The child of a place that is held, started anew where there is none. Raises `AudioError`, RuntimeError."""
        if place.child is not None and not place.child.is_alive():
            self.discard(place)
        if place.child is None:
            child = self._start()
            with self._changed:
                place.child = child
                closed = self._closed
            if closed:
                self.discard(place)
                raise RuntimeError("the decoder is closed")
            try:
                child.greet()
            except AudioError:
                self.discard(place)
                raise
        return place.child

    def discard(self, place: Place) -> None:
        """Kill the child of a place that is held."""
        with self._changed:
            child, place.child = place.child, None
        if child is not None:
            child.kill()

    def close(self) -> None:
        """End all children, those at work too: their users get an error. The pool is not used again."""
        with self._changed:
            self._closed = True
            idle, self._free = self._free, []
            for place in self._places:
                if place.child is not None and place not in idle:
                    place.child.interrupt()
            self._changed.notify_all()
        for place in idle:
            if place.child is not None:
                place.child.close()
                place.child = None

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _take(self, stop: Stop) -> Place:
        me = threading.get_ident()
        with self._changed:
            if not self._closed and not self._free and all(place.holder == me for place in self._places):
                raise RuntimeError(
                    "this thread holds all children of the decoder; finish or close the other recording first, "
                    "or give the decoder more children"
                )
            self._changed.wait_for(lambda: self._closed or stop.is_set or self._free)
            if self._closed:
                raise RuntimeError("the decoder is closed")
            if stop.is_set:
                raise AudioError(ErrorCode.KILLED, NOBODY_WAITS)
            # The last one given back, so that no more children start than are needed.
            place = self._free.pop()
            place.holder = me
            return place

    def _give_back(self, place: Place) -> None:
        with self._changed:
            closed = self._closed
            if not closed:
                self._free.append(place)
                self._changed.notify()
        if closed:
            self.discard(place)
