"""The runner for small jobs and tests: the pipeline in this process, no cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import takewhile
from typing import Protocol

from mmer_ray.lake.answers import Answers
from mmer_ray.records import Recording, ScoredRecording, Task
from mmer_ray.runners.todo import Todo, tasks_of
from mmer_ray.stages.keys import Keys

OnHeard = Callable[[Recording, float], None]


class Scores(Protocol):
    """What is needed of `pipelines.corpus.Pipeline`."""

    def score(self, tasks: Iterable[Task], on_heard: OnHeard | None = None) -> Iterator[ScoredRecording]: ...


def score(
    pipeline: Scores, todo: Todo, keys: Keys, stop: threading.Event, on_heard: OnHeard | None = None
) -> Generator[Answers, None, None]:
    """Score recordings several at a time; yields each answer as it is finished, in no promised order.

    Once `stop` is set no further recording is begun. `on_heard(recording, end_s)` is told how far each is.
    """
    for scored in pipeline.score(takewhile(lambda _: not stop.is_set(), tasks_of(todo)), on_heard):
        yield Answers.of([scored], keys)
