"""Workers die on a real Ray cluster; the job goes on and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import ray

from mmer_ray.errors import ErrorCode
from mmer_ray.profiles import load_profile
from mmer_ray.records import Recording, ScoredRecording
from mmer_ray.runners import batch
from tests.runners.drill import DrillShard


def drill(names: list[str], folder: Path) -> dict[str, ScoredRecording]:
    profile = load_profile("embedded", ["run.actors=2"])
    planned = [Recording(uri=str(folder / name), expected_s=10.0) for name in names]
    answers = list(batch.score(planned, profile, b"key", actor=DrillShard))
    assert len(answers) == len(names), "each recording once"
    return {Path(answer.recording.uri).name: answer for answer in answers}


def test_no_recordings_start_no_cluster() -> None:
    running = ray.is_initialized()
    assert list(batch.score([], load_profile("embedded"), b"key")) == []
    assert ray.is_initialized() == running


def test_recordings_that_kill_workers_are_quarantined_and_their_neighbours_scored(
    ray_cluster: None, tmp_path: Path
) -> None:
    names = [
        *(f"good-{index}.wav" for index in range(10)),
        "a-always-kills.wav",
        "b-always-kills.wav",
        "kills-once.wav",
    ]
    answers = drill(names, tmp_path)
    poisons = [answers.pop(name) for name in ("a-always-kills.wav", "b-always-kills.wav")]
    assert [poison.failure and poison.failure.code for poison in poisons] == [ErrorCode.WORKER_CRASH] * 2
    assert {poison.recording.attempt for poison in poisons} == {3}
    assert {answer.status for answer in answers.values()} == {"scored"}, "one death by bad luck costs nothing"
