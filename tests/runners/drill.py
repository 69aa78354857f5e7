"""A scoring actor for drills: answers at once, and dies or refuses where it is told to."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmer_ray.errors import ErrorCode, PreflightError
from mmer_ray.profiles import Profile, load_profile
from mmer_ray.records import Failure, Recording, ScoredRecording, Task
from mmer_ray.runners.batch import ScoreShard
from mmer_ray.runners.job import JobOptions, JobReport, run
from mmer_ray.runners.todo import OnHeard, Scores


class DrillPipeline:
    """Scores nothing. `always-kills` takes its worker down each time, `kills-once` the first time only."""

    def score(self, tasks: Iterable[Task], on_heard: OnHeard | None = None) -> Iterator[ScoredRecording]:
        for task in tasks:
            uri = task.recording.uri
            if "always-kills" in uri or ("kills-once" in uri and not _died_before(task.recording)):
                os.kill(os.getpid(), signal.SIGKILL)
            failure = Failure(ErrorCode.EMPTY_FILE, "decode", "a drill")
            yield ScoredRecording(recording=task.recording, status="failed", failure=failure)


class DrillShard(ScoreShard):
    def load(self, profile: Profile) -> Scores:
        return DrillPipeline()


class NoModelShard(ScoreShard):
    def load(self, profile: Profile) -> Scores:
        raise PreflightError("the model bert-base is not there; fetch it")


def score_with_members(source: str, lake: str) -> JobReport:
    """A job in this process, with members that need no weights."""
    from mmer_ray.pipelines.engine import Engine
    from tests.members import plain_engine

    Engine.load = lambda _: plain_engine()  # type: ignore[assignment, method-assign, misc]
    return run(JobOptions((source,), lake, load_profile("synthetic", ["run.runner=inprocess"])))


def _died_before(recording: Recording) -> bool:
    mark = Path(recording.uri)
    if mark.exists():
        return True
    mark.touch()
    return False
