"""Decoding ahead of the models: a thread that keeps a bounded amount of audio ready."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import Protocol

from mmer_ray.errors import AudioError
from mmer_ray.records import AudioFacts, Recording, Window

MIN_ITEM_S = 0.1
"""What an item without audio counts in the queue, so that a million failures do not fill the memory."""


class Decodes(Protocol):
    """What the pipeline needs of a decoder."""

    def decode(self, recording: Recording) -> Iterator[Window | AudioFacts]: ...


@dataclass(frozen=True)
class Decoded:
    """One thing the decoder said about one recording."""

    position: int
    """Of the recording among those given: two may be equal."""
    recording: Recording
    item: Window | AudioFacts | AudioError
    wall_s: float
    """Seconds spent on this item."""

    @property
    def audio_s(self) -> float:
        return self.item.end_s - self.item.start_s if isinstance(self.item, Window) else 0.0


class DecodeAhead:
    """Iterate over what a decoder says of recordings, in order, while a thread decodes up to `ahead_s` seconds more.

    A context manager: leaving it ends the thread, after the window it is at. An exception that is not an `AudioError`
    comes out of the iteration.
    """

    def __init__(self, decoder: Decodes, recordings: Iterable[Recording], ahead_s: float) -> None:
        self._decoder = decoder
        self._recordings = recordings
        self._ahead_s = ahead_s
        self._queue: deque[Decoded] = deque()
        self._queued_s = 0.0
        self._changed = threading.Condition()
        self._stopped = False
        self._ended = False
        self._bug: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="decode-ahead", daemon=True)

    def __enter__(self) -> DecodeAhead:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._stopped = True
            self._queue.clear()
            self._changed.notify_all()
        self._thread.join()

    def __iter__(self) -> Iterator[Decoded]:
        while (decoded := self._take()) is not None:
            yield decoded

    def _take(self) -> Decoded | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._ended)
            if self._queue:
                decoded = self._queue.popleft()
                self._queued_s -= max(decoded.audio_s, MIN_ITEM_S)
                self._changed.notify_all()
                return decoded
        if self._bug is not None:
            raise self._bug
        return None

    def _run(self) -> None:
        try:
            for position, recording in enumerate(self._recordings):
                if not self._decode(position, recording):
                    return
        except BaseException as bug:
            # Told to the consumer, whose bug it is: a thread's own traceback would end nothing.
            self._bug = bug
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _decode(self, position: int, recording: Recording) -> bool:
        """Queue all that the decoder says of one recording; False when told to stop."""
        begun = perf_counter()
        items = self._decoder.decode(recording)
        try:
            for item in items:
                if not self._put(Decoded(position, recording, item, perf_counter() - begun)):
                    return False
                begun = perf_counter()
        except AudioError as error:
            return self._put(Decoded(position, recording, error, perf_counter() - begun))
        finally:
            if isinstance(items, Generator):
                items.close()
        return True

    def _put(self, decoded: Decoded) -> bool:
        """Wait until there is room, then queue; False when told to stop. One item fits always, however long."""
        cost_s = max(decoded.audio_s, MIN_ITEM_S)
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or not self._queue or self._queued_s + cost_s <= self._ahead_s)
            if self._stopped:
                return False
            self._queue.append(decoded)
            self._queued_s += cost_s
            self._changed.notify_all()
        return True
