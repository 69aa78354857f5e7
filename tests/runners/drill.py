"""A scoring actor for drills: answers at once, and dies where a recording's name says so."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mmer_ray.profiles import Profile
from mmer_ray.records import Recording, ScoredRecording
from mmer_ray.runners.batch import ScoreShard


class DrillPipeline:
    """Scores nothing. `always-kills` takes its worker down each time, `kills-once` the first time only."""

    def score(self, recordings: Iterable[Recording]) -> Iterator[ScoredRecording]:
        for recording in recordings:
            if "always-kills" in recording.uri or ("kills-once" in recording.uri and not _died_before(recording)):
                os.kill(os.getpid(), signal.SIGKILL)
            yield ScoredRecording(recording=recording, status="scored")


class DrillShard(ScoreShard):
    def __init__(self, profile: Profile, key: bytes, attempts: Any) -> None:
        self._pipeline = DrillPipeline()  # type: ignore[assignment]
        self._attempts = attempts
        self._max_attempts = profile.run.max_attempts


def _died_before(recording: Recording) -> bool:
    mark = Path(recording.uri)
    if mark.exists():
        return True
    mark.touch()
    return False
