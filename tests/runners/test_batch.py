"""Workers die on a real Ray cluster; the job goes on and nothing is lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from mmer_ray.errors import PreflightError
from mmer_ray.profiles import load_profile
from mmer_ray.records import Recording, Task
from mmer_ray.runners import batch
from mmer_ray.runners.batch import ScoreShard
from mmer_ray.runners.todo import Todo
from mmer_ray.stages.keys import Keys
from tests.runners.drill import CountKillingShard, DrillShard, NoModelShard, companies

KEYS = Keys("d", "i", "t", "j", "e", "l", scorer="drill-1", limits="1", channel_roles=())


def drill(names: list[str], folder: Path, actor: type[ScoreShard] = DrillShard) -> dict[str, tuple[str, int]]:
    """File name -> error code and attempt, as they come back."""
    profile = load_profile("synthetic", ["run.max_actors=2"])
    tasks = [Task(Recording(uri=str(folder / name), corpus=f"corpus {len(name)}", attempt=2)) for name in names]
    todo = Todo([10.0] * len(tasks), lambda rows: tasks[rows])
    rows = [row for answers in batch.score(todo, profile, KEYS, actor=actor) for row in answers.summary.to_pylist()]
    assert Counter(Path(row["uri"]).name for row in rows) == Counter(names), "each recording once"
    return {Path(row["uri"]).name: (row["error_code"], row["attempts"]) for row in rows}


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
    assert poisons == [("worker_crash", 2)] * 2
    for name in ("a-always-kills.wav", "b-always-kills.wav"):
        *first, second, third = companies(str(tmp_path / name))
        assert (second, third) == (0, 0), "after a death in company it is tried alone"
        assert all(others > 0 for others in first)
        assert len(first) <= 1
    assert set(answers.values()) == {("empty_file", 2)}, "one death by bad luck costs nothing"


def test_a_job_goes_on_when_the_actor_that_counts_attempts_dies(ray_cluster: None, tmp_path: Path) -> None:
    answers = drill([f"good-{index}.wav" for index in range(8)], tmp_path, actor=CountKillingShard)
    assert set(answers.values()) == {("empty_file", 2)}


def test_what_an_actor_refuses_comes_out_as_the_same_error(ray_cluster: None, tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match="bert-base is not there; fetch it"):
        drill(["a.wav"], tmp_path, actor=NoModelShard)
