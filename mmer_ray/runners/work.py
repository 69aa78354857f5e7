"""The work of one plan: from what there is to do to committed rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmer_ray.lake.answers import Answers
from mmer_ray.lake.ledger import Ledger
from mmer_ray.lake.plan import Plan, planned_ms
from mmer_ray.lake.run import begin_run
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.models.resolver import ResolvedModel
from mmer_ray.profiles import Profile
from mmer_ray.records import Restart
from mmer_ray.runner import Runner
from mmer_ray.runners.cluster import StoppedError
from mmer_ray.runners.driver import Driven, Driver
from mmer_ray.runners.estimate import SHARE
from mmer_ray.runners.tally import Tally
from mmer_ray.runners.todo import OnHeard, todo_of, with_given
from mmer_ray.transcripts.folder import TranscriptFolder


@dataclass(frozen=True)
class Work:
    """A plan, with what it takes to do it."""

    plan: Plan
    profile: Profile
    models: Mapping[str, ResolvedModel]
    """The profile's key -> model, for the record of the run."""
    runner: Runner
    """Never `auto`."""
    given: TranscriptFolder | None = None
    """Transcripts and turns that take a stage's place."""


Answering = Callable[[Lake, Work, threading.Event, OnHeard], AbstractContextManager[Generator[Answers, None, None]]]
"""Starts a runner, and gives the answers to all that is to do."""


def do(
    lake: Lake, work: Work, tally: Tally, stop: threading.Event, answering: Answering | None = None
) -> tuple[str | None, Driven]:
    """Do the work; returns the run's name and how it ended. The plan is not empty and the caller holds the lake.

    `answering` takes the place of `answers_to`.
    The name is None where `stop` was set before anything was written. Raises as `job.Job.run`.
    """
    this_run = begin_run(work.profile, work.plan.keys, {key: model.digest for key, model in work.models.items()})
    try:
        with (
            (answering or answers_to)(lake, work, stop, tally.hear) as answers,
            Writer(lake, this_run, work.plan, work.profile.run) as writer,
        ):
            driven = Driver(writer, work.plan.todo.num_rows, on_answers=tally.add, stop=stop).run(answers)
    except StoppedError:
        return None, Driven(Ledger(), interrupted=True)
    return this_run.run_id, driven


def inactive_note(corpus: str, scorer: str, lake: Lake) -> str:
    """How to make a corpus follow an emotion model that has answered beside the one it follows."""
    return (
        f"corpus {corpus} follows another emotion model than {scorer}, whose answers lie beside it: "
        f"`mmer models activate {scorer} --lake {lake.address} --corpus {corpus}` moves it"
    )


def lost_counts(plan: Plan) -> list[str]:
    """A line where the work undoes what `mmer recluster` did."""
    if not plan.num_recounted:
        return []
    return [
        f"{plan.num_recounted} recordings whose speakers were counted again get those that this profile finds; "
        "`mmer recluster` counts them again"
    ]


def restarts_of(todo: pa.Table) -> list[Restart]:
    """Where the work on each row of a plan's `todo` begins."""
    return cast(list[Restart], todo["restart"].to_pylist())


def work_s(todo: pa.Table) -> float:
    """Seconds of audio to work on, each weighted with what is left to do."""
    shares = np.array([SHARE[restart] for restart in restarts_of(todo)])
    return float((planned_ms(todo).to_numpy() * shares).sum()) / 1000


@contextmanager
def answers_to(
    lake: Lake, work: Work, stop: threading.Event, on_heard: OnHeard
) -> Iterator[Generator[Answers, None, None]]:
    """The answers to all that is to do. Entering starts what the runner needs."""
    plan, profile = work.plan, work.profile
    restarts = restarts_of(plan.todo)
    is_linking = pa.array([restart == "link" for restart in restarts], pa.bool_())
    linked = _linked_answers(lake, work, plan.todo.filter(is_linking))
    rest = todo_of(plan, lake, plan.todo.filter(pc.invert(is_linking)))
    if work.given is not None:
        rest = with_given(rest, work.given)
    hears = "decode" in restarts
    # Each runner is imported when it is taken: a small job never pays for Ray, one without models for none.
    if not rest.planned_s:
        yield linked
    elif work.runner == Runner.RAY:
        from mmer_ray.runners.cluster import cluster

        with cluster(stop):
            from mmer_ray.runners import batch

            yield _both(linked, batch.score(rest, profile, plan.keys, hears=hears))
    else:
        from mmer_ray.pipelines.corpus import Pipeline
        from mmer_ray.runners import inprocess

        with Pipeline(profile, hears=hears) as pipeline:
            yield _both(linked, inprocess.score(pipeline, rest, plan.keys, stop, on_heard))


def _linked_answers(lake: Lake, work: Work, rows: pa.Table) -> Generator[Answers, None, None]:
    if rows.num_rows:
        from mmer_ray.runners import linking

        yield from linking.score(todo_of(work.plan, lake, rows), work.profile.link, work.plan.keys)


def _both(
    first: Generator[Answers, None, None], then: Generator[Answers, None, None]
) -> Generator[Answers, None, None]:
    yield from first
    yield from then
