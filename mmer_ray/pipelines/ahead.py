"""Decoding ahead of the models: a thread that keeps a bounded amount of audio ready."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import Protocol

from mmer_ray.audio.needed import SoundRange, needed_ranges
from mmer_ray.errors import AudioError
from mmer_ray.records import AudioFacts, Recording, Task, Window
from mmer_ray.stages.emotion import clip_range

MIN_ITEM_S = 0.1
"""What an item without audio counts, so that a million failures do not fill the memory."""


class Decodes(Protocol):
    """What the pipeline needs of a decoder. Safe to call from several threads."""

    def decode(
        self, recording: Recording, needed: Sequence[SoundRange] | None = None
    ) -> Iterator[Window | AudioFacts]: ...


@dataclass(frozen=True)
class Decoded:
    """One thing the decoder said about one task."""

    position: int
    """Of the task among those given: two may be equal."""
    task: Task
    item: Window | AudioFacts | AudioError | None
    """None: the task needs no audio."""
    wall_s: float
    """Seconds spent on this item."""

    @property
    def cost_s(self) -> float:
        """Seconds of audio that it counts in the room."""
        audio_s = self.item.end_s - self.item.start_s if isinstance(self.item, Window) else 0.0
        return max(audio_s, MIN_ITEM_S)


@dataclass(frozen=True)
class InputEnded:
    """Nothing more will be decoded."""

    bug: BaseException | None = None
    """An exception that is no `AudioError`, of the decoder or of the iterable of tasks."""


class Room:
    """Seconds of audio that may be in memory at a time. One item fits always, however long."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._held_s = 0.0
        self._closed = False
        self._changed = threading.Condition()

    def enter(self, cost_s: float) -> bool:
        """Wait for room and take it; False once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._held_s <= 0 or self._held_s + cost_s <= self._limit_s)
            if not self._closed:
                self._held_s += cost_s
            return not self._closed

    def exchange(self, given_s: float, taken_s: float) -> None:
        """Give room back and take some without waiting."""
        with self._changed:
            self._held_s += taken_s - given_s
            if self._held_s < 1e-6:
                self._held_s = 0.0
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody in any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def needs_audio(task: Task) -> bool:
    """Whether a task asks a model anything: measures do not, nor do emotions where nobody said a word."""
    if task.restart == "decode":
        return True
    assert task.known is not None, "work that does not begin at decode needs what is known"
    return task.restart == "emotion" and bool(task.known.utterances)


def needed_sound(task: Task) -> list[SoundRange] | None:
    """The stretches that a task's clips are cut from; None where all of the recording is to be heard."""
    if task.restart == "decode":
        return None
    assert task.known is not None, "work that does not begin at decode needs what is known"
    return needed_ranges((one.channel, *clip_range(one)) for one in task.known.utterances)


class DecodeAhead:
    """Passes what a decoder says of tasks to `tell`, in order, while there is room, and at the end an `InputEnded`.

    A context manager: leaving it ends the thread, after the window it is at. Whoever is told gives the room back.
    """

    def __init__(
        self, decoder: Decodes, tasks: Iterable[Task], room: Room, tell: Callable[[Decoded | InputEnded], None]
    ) -> None:
        self._decoder = decoder
        self._tasks = tasks
        self._room = room
        self._tell = tell
        self._thread = threading.Thread(target=self._run, name="decode-ahead", daemon=True)

    def __enter__(self) -> DecodeAhead:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._room.close()
        self._thread.join()

    def _run(self) -> None:
        bug: BaseException | None = None
        try:
            for position, task in enumerate(self._tasks):
                if not self._handle(position, task):
                    break
        except BaseException as error:
            # Told to the consumer, whose bug it is: a thread's own traceback would end nothing.
            bug = error
        finally:
            self._tell(InputEnded(bug))

    def _handle(self, position: int, task: Task) -> bool:
        """Tell all that there is to say of one task; False when told to stop."""
        if not needs_audio(task):
            return self._pass_on(Decoded(position, task, None, 0.0))
        begun = perf_counter()
        items = self._decoder.decode(task.recording, needed_sound(task))
        try:
            for item in items:
                if not self._pass_on(Decoded(position, task, item, perf_counter() - begun)):
                    return False
                begun = perf_counter()
        except AudioError as error:
            return self._pass_on(Decoded(position, task, error, perf_counter() - begun))
        finally:
            if isinstance(items, Generator):
                items.close()
        return True

    def _pass_on(self, decoded: Decoded) -> bool:
        is_let_in = self._room.enter(decoded.cost_s)
        if is_let_in:
            self._tell(decoded)
        return is_let_in
