"""The runner for recordings of which the measures alone are missing: no model, no audio, no cluster."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from time import perf_counter

from mmer_ray.lake.answers import Answers
from mmer_ray.profiles import LinkOptions
from mmer_ray.records import ScoredRecording, Task
from mmer_ray.runners.todo import Todo, slices
from mmer_ray.stages.keys import Keys
from mmer_ray.stages.link import link


def score(todo: Todo, options: LinkOptions, keys: Keys) -> Generator[Answers, None, None]:
    """Link recordings again, from what the lake knows of them."""
    for rows in slices(todo):
        yield Answers.of([_linked(task, options, keys) for task in todo.tasks(rows)], keys)


def _linked(task: Task, options: LinkOptions, keys: Keys) -> ScoredRecording:
    assert task.restart == "link", f"{task.recording.uri}: work that begins at {task.restart} needs models"
    assert task.known is not None
    begun = perf_counter()
    linked = link(task.known, options)
    seconds = {"link": perf_counter() - begun}
    return replace(
        linked, recording=task.recording, restart="link", scorer=keys.scorer, stage_seconds=seconds, gpu_seconds={}
    )
