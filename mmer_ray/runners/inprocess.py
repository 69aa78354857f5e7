"""The runner for small jobs and tests: the pipeline in this process, no cluster."""

from __future__ import annotations

import threading
from collections.abc import Generator
from itertools import takewhile

from mmer_ray.lake.answers import Answers
from mmer_ray.runners.todo import OnHeard, Scores, Todo, tasks_of
from mmer_ray.stages.keys import Keys


def score(
    pipeline: Scores, todo: Todo, keys: Keys, stop: threading.Event, on_heard: OnHeard | None = None
) -> Generator[Answers, None, None]:
    """Score recordings several at a time; yields each answer as it is finished, in no promised order.

    Once `stop` is set no further recording is begun. `on_heard(recording, end_s)` is told how far each is.
    """
    for scored in pipeline.score(takewhile(lambda _: not stop.is_set(), tasks_of(todo)), on_heard):
        yield Answers.of([scored], keys)
