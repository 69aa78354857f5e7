"""What a job has to do, in the order in which it does it; tasks are made of it a slice at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from mmer_ray.records import ScoredRecording, Task

TASKS_AT_A_TIME = 64
"""Tasks made together: each slice asks the lake once for what it knows."""


class Todo(Protocol):
    """Recordings to score. A million of them are a table, never a million objects."""

    @property
    def planned_s(self) -> Sequence[float]:
        """Seconds of audio of each, as far as planning knows."""
        ...

    def tasks(self, rows: slice) -> list[Task]:
        """The tasks of some rows, with what the lake knows of those that do not begin at `decode`."""
        ...


class Scores(Protocol):
    """What a runner needs of `pipelines.corpus.Pipeline`."""

    def score(self, tasks: Iterable[Task]) -> Iterator[ScoredRecording]: ...


def tasks_of(todo: Todo) -> Iterator[Task]:
    """All tasks, made as they are asked for."""
    for begin in range(0, len(todo.planned_s), TASKS_AT_A_TIME):
        yield from todo.tasks(slice(begin, begin + TASKS_AT_A_TIME))
