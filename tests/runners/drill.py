"""Scoring actors for drills: they answer at once, die or refuse where they are told to, or have no weights to load."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import ray

from mmer_ray.errors import ErrorCode, PreflightError
from mmer_ray.profiles import Profile, load_profile
from mmer_ray.records import Failure, ScoredRecording, Task
from mmer_ray.runners.batch import ScoreShard
from mmer_ray.runners.job import JobOptions, JobReport, run
from mmer_ray.runners.todo import OnHeard, Scores

PAUSE_S = 0.1
"""Long enough that a job of some recordings can be killed between any two of them."""


class DrillPipeline:
    """Scores nothing. `always-kills` takes its worker down each time, `kills-once` the first time only.

    Each death on a file leaves, beside it, the number of others that its worker had been given with it.
    """

    def score(self, tasks: Iterable[Task], on_heard: OnHeard | None = None) -> Iterator[ScoredRecording]:
        together = list(tasks)
        for task in together:
            uri = task.recording.uri
            if "always-kills" in uri or ("kills-once" in uri and not companies(uri)):
                with Path(f"{uri}.deaths").open("a") as deaths:
                    deaths.write(f"{len(together) - 1}\n")
                os.kill(os.getpid(), signal.SIGKILL)
            failure = Failure(ErrorCode.EMPTY_FILE, "decode", "a drill")
            yield ScoredRecording(recording=task.recording, status="failed", failure=failure)


class DrillShard(ScoreShard):
    def load(self, profile: Profile) -> Scores:
        return DrillPipeline()


class CountKillingShard(DrillShard):
    """Takes down the process of the actor that counts attempts, as a node's end would, while it loads."""

    def load(self, profile: Profile) -> Scores:
        os.kill(ray.get(self._attempts.__ray_call__.remote(lambda _: os.getpid())), signal.SIGKILL)
        return super().load(profile)


class SlowPipeline:
    """A pipeline that rests after each recording."""

    def __init__(self, pipeline: Scores) -> None:
        self._pipeline = pipeline

    def score(self, tasks: Iterable[Task], on_heard: OnHeard | None = None) -> Iterator[ScoredRecording]:
        for scored in self._pipeline.score(tasks, on_heard):
            time.sleep(PAUSE_S)
            yield scored


class PlainShard(ScoreShard):
    """All stages for real, with members without weights."""

    def load(self, profile: Profile) -> Scores:
        # torch takes seconds to import; the driver, which imports this file, needs none.
        from mmer_ray.pipelines.corpus import Pipeline
        from tests.members import engine_of

        return SlowPipeline(Pipeline(profile, engine=engine_of(profile), slots=1))


class NoModelShard(ScoreShard):
    def load(self, profile: Profile) -> Scores:
        raise PreflightError("the model bert-base is not there; fetch it")


def companies(uri: str) -> list[int]:
    """Of each death on this file, how many others its worker had been given with it."""
    deaths = Path(f"{uri}.deaths")
    return [int(line) for line in deaths.read_text().splitlines()] if deaths.exists() else []


def score_with_members(source: str, lake: str) -> JobReport:
    """A job in this process, with members that need no weights."""
    from mmer_ray.pipelines.engine import Engine
    from tests.members import engine_of

    Engine.load = engine_of  # type: ignore[assignment, method-assign]
    return run(JobOptions((source,), lake, load_profile("synthetic", ["run.runner=inprocess"])))
