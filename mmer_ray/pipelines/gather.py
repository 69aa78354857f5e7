"""Windows of several recordings together, and each recording's windows together again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Protocol

from mmer_ray.errors import AudioError
from mmer_ray.pipelines.ahead import Decoded
from mmer_ray.records import AudioFacts, Failure, Recording, ScoredRecording, Window


class Links(Protocol):
    """Windows of one recording in, its final rows out."""

    name: str

    def join(self, recording: Recording, facts: AudioFacts, windows: Sequence[Window]) -> ScoredRecording: ...


@dataclass
class Group:
    """Windows, of several recordings, that pass through the stages together."""

    limit_s: float
    windows: list[tuple[int, Window]] = field(default_factory=list)

    def has_room(self, decoded: Decoded) -> bool:
        held_s = sum(window.end_s - window.start_s for _, window in self.windows)
        return not self.windows or held_s + decoded.audio_s <= self.limit_s

    def add(self, position: int, window: Window) -> None:
        self.windows.append((position, window))

    def drop(self, position: int) -> None:
        """Leave out a recording that turned out bad."""
        self.windows = [(held, window) for held, window in self.windows if held != position]


@dataclass
class Pending:
    """One recording between its first window and its last."""

    recording: Recording
    outstanding: int = 0
    """Windows decoded and not handed in yet."""
    windows: list[Window] = field(default_factory=list)
    facts: AudioFacts | None = None
    error: AudioError | None = None
    stage_wall_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def is_finished(self) -> bool:
        return self.error is not None or (self.facts is not None and self.outstanding == 0)


class Desk:
    """Keeps the windows of each recording until they are all there."""

    def __init__(self, link: Links) -> None:
        self._link = link
        self._pending: dict[int, Pending] = {}

    def take_note(self, decoded: Decoded) -> None:
        """Enter what the decoder said."""
        pending = self._pending.setdefault(decoded.position, Pending(decoded.recording))
        pending.stage_wall_s["decode"] += decoded.wall_s
        if isinstance(decoded.item, Window):
            pending.outstanding += 1
        elif isinstance(decoded.item, AudioFacts):
            pending.facts = decoded.item
        else:
            pending.error = decoded.item

    def hand_in(self, windows: list[tuple[int, Window]], stage_wall_s: dict[str, float]) -> None:
        """Enter windows that all stages are done with; their wall seconds are shared out by seconds of audio."""
        total_s = sum(window.end_s - window.start_s for _, window in windows) or 1.0
        for position, window in windows:
            pending = self._pending[position]
            pending.outstanding -= 1
            pending.windows.append(window)
            for stage, wall_s in stage_wall_s.items():
                pending.stage_wall_s[stage] += wall_s * (window.end_s - window.start_s) / total_s

    def finished(self) -> Iterator[ScoredRecording]:
        """Give out the recordings that are complete, in the order in which they were begun."""
        for position in [position for position, pending in self._pending.items() if pending.is_finished]:
            yield self._finish(self._pending.pop(position))

    def _finish(self, pending: Pending) -> ScoredRecording:
        if pending.error is not None:
            failure = Failure(pending.error.code, "decode", pending.error.message)
            return ScoredRecording(
                pending.recording, "failed", failure=failure, stage_seconds=dict(pending.stage_wall_s)
            )
        assert pending.facts is not None
        begun = perf_counter()
        scored = self._link.join(pending.recording, pending.facts, pending.windows)
        pending.stage_wall_s[self._link.name] += perf_counter() - begun
        return replace(scored, stage_seconds=dict(pending.stage_wall_s))
