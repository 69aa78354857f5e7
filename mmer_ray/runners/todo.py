"""What a runner has to do, in the order in which it does it; tasks are made of it a slice at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import pyarrow as pa

from mmer_ray.lake.plan import Plan, planned_ms
from mmer_ray.lake.store import Lake
from mmer_ray.records import Recording, ScoredRecording, Task
from mmer_ray.transcripts.folder import TranscriptFolder

OnHeard = Callable[[Recording, float], None]
"""Told of an unfinished recording up to what second it was heard."""

TASKS_AT_A_TIME = 64
"""Tasks made together: each slice asks the lake once for what it knows."""


@dataclass(frozen=True)
class Todo:
    """Recordings to score. A million of them are a table, never a million objects."""

    planned_s: Sequence[float]
    """Seconds of audio of each, as far as planning knows."""
    tasks: Callable[[slice], list[Task]]
    """The tasks of some rows, with what the lake knows of those that do not begin at `decode`."""


class Scores(Protocol):
    """What a runner needs of `pipelines.corpus.Pipeline`."""

    def score(self, tasks: Iterable[Task], on_heard: OnHeard | None = None) -> Iterator[ScoredRecording]: ...


def todo_of(plan: Plan, lake: Lake, rows: pa.Table) -> Todo:
    """Some rows of a plan."""
    planned_s = planned_ms(rows).to_numpy() / 1000
    return Todo(planned_s.tolist(), lambda part: plan.tasks(lake, rows.slice(part.start, part.stop - part.start)))


def with_given(todo: Todo, folder: TranscriptFolder) -> Todo:
    """The same work, with what the folder gives for the recordings that begin at `decode`. A slice of tasks raises
    `SourceError` where a file is no longer the one that was planned."""

    def tasks(part: slice) -> list[Task]:
        return [
            replace(task, given=folder.given(task.recording)) if task.restart == "decode" else task
            for task in todo.tasks(part)
        ]

    return Todo(todo.planned_s, tasks)


def slices(todo: Todo) -> Iterator[slice]:
    """All rows, `TASKS_AT_A_TIME` together."""
    for begin in range(0, len(todo.planned_s), TASKS_AT_A_TIME):
        yield slice(begin, min(begin + TASKS_AT_A_TIME, len(todo.planned_s)))


def tasks_of(todo: Todo) -> Iterator[Task]:
    """All tasks, made as they are asked for."""
    for rows in slices(todo):
        yield from todo.tasks(rows)
