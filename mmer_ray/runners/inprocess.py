"""The runner for small jobs and tests: the pipeline in this process, no cluster."""

from __future__ import annotations

import threading
from collections.abc import Generator
from itertools import takewhile

from mmer_ray.lake.answers import Answers
from mmer_ray.runners.todo import Scores, Todo, tasks_of
from mmer_ray.stages.keys import Keys


def score(pipeline: Scores, todo: Todo, keys: Keys, stop: threading.Event) -> Generator[Answers, None, None]:
    """Score recordings one after the other; yields each answer as it is finished, in no promised order.

    Once `stop` is set no further recording is begun.
    """
    for scored in pipeline.score(takewhile(lambda _: not stop.is_set(), tasks_of(todo))):
        yield Answers.of([scored], keys)
