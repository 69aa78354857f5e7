"""Trainings on a Ray cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmer_ray.errors import PreflightError, UsageError
from mmer_ray.failpoint import VARIABLE
from mmer_ray.models.families import load_emotion_model
from mmer_ray.runners import train as runner
from mmer_ray.runners.train import Progress, train
from mmer_ray.training.fresh_model import Architecture
from mmer_ray.training.history import HISTORY_NAME, read_history
from mmer_ray.training.one_fold import train_fold
from mmer_ray.training.predictions_file import read_predictions
from mmer_ray.training.run import CHECKPOINT, DEVELOPMENT, TEST
from tests.runners.train_driver import Seen, task_of

RAY_S = 300
"""Longest wait for a driver of its own on a busy machine, in seconds."""


def curve(folder: Path) -> list[dict[str, float]]:
    return read_history(folder / CHECKPOINT / HISTORY_NAME)


def same_curve(first: Path, second: Path, tolerance: float) -> None:
    assert len(curve(first)) == len(curve(second)) == 9
    for left, right in zip(curve(first), curve(second), strict=True):
        assert left == pytest.approx(right, abs=tolerance, rel=tolerance)


@pytest.mark.usefixtures("ray_cluster")
def test_two_workers_of_ray_train_give_what_this_process_alone_gives(tmp_path: Path) -> None:
    sounds, told = tmp_path / "sounds", list[Progress]()
    train_fold(task_of(sounds, tmp_path / "alone"))
    two = task_of(sounds, tmp_path / "two")
    done = train([two], 2, on_progress=told.append)
    assert (done.num_trained, done.num_done_before, done.interrupted) == (1, 0, False)
    assert (told[-1].num_done, told[-1].num_tasks) == (1, 1)
    same_curve(tmp_path / "alone", two.folder, 1e-5)
    for name in (TEST, DEVELOPMENT):
        alone, together = (read_predictions(folder / name) for folder in (tmp_path / "alone", two.folder))
        np.testing.assert_allclose(alone.logits, together.logits, atol=1e-4)
        assert [one.utterance_id for one in alone.utterances] == [one.utterance_id for one in together.utterances]
        assert (together.fold, together.seed, together.labels) == ("Fold 1", 0, alone.labels)
    assert load_emotion_model(two.model).model.labels == ("sad", "happy")
    assert not (two.folder / "ray").exists()
    again = train([two], 2)
    assert (again.num_trained, again.num_done_before) == (0, 1)


@pytest.mark.usefixtures("ray_cluster")
def test_what_is_wrong_with_a_sound_comes_back_as_our_own_error(tmp_path: Path) -> None:
    task = task_of(tmp_path / "sounds", tmp_path / "fold")
    task.split.train[3].sound.path.write_bytes(b"no sound")
    with pytest.raises(UsageError, match=f"{task.split.train[3].sound.path.name} cannot be read as sound"):
        train([task], 1)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_several_workers_meet_a_wrong_sound_once_and_tell_of_it_as_one_does(tmp_path: Path) -> None:
    task = task_of(tmp_path / "sounds", tmp_path / "fold")
    task = replace(task, asked=replace(task.asked, architecture=Seen("mmer", seen=tmp_path / "seen")))
    task.split.train[3].sound.path.write_bytes(b"no sound")
    with pytest.raises(UsageError, match=f"{task.split.train[3].sound.path.name} cannot be read as sound"):
        train([task], 2)
    processes = {int(file.name) for file in (tmp_path / "seen").iterdir()}
    assert len(processes - {os.getpid()}) == 2
    assert not (task.folder / "ray").exists()


def test_a_training_that_fails_ends_those_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def get(answer: str) -> None:
        raise UsageError(f"{answer} failed")

    tasks = [replace(task_of(tmp_path / "sounds", tmp_path / name), seed=seed) for seed, name in enumerate("ab")]
    cancelled: list[str] = []
    monkeypatch.setattr(runner, "_room", lambda num_workers: (False, 2))
    monkeypatch.setattr(runner, "_submit", lambda task, *_: f"seed {task.seed}")
    monkeypatch.setattr(ray, "wait", lambda answers, timeout: (answers[:1], answers[1:]))
    monkeypatch.setattr(ray, "get", get)
    monkeypatch.setattr(ray, "cancel", lambda answer, force: cancelled.append(answer))
    with pytest.raises(UsageError, match="seed 0 failed"):
        runner._drive(tasks, 1, 0, None, threading.Event())
    assert cancelled == ["seed 1"]


def test_workers_of_a_head_need_not_share_the_batches_of_a_recipe(tmp_path: Path) -> None:
    task = task_of(tmp_path / "sounds", tmp_path / "fold")
    with pytest.raises(UsageError, match="3 workers cannot share"):
        train([task], 3)
    task.folder.mkdir()
    (task.folder / TEST).touch()
    head = Architecture("frozen_encoder", "whisper-tiny")
    assert train([replace(task, asked=replace(task.asked, architecture=head))], 3).num_done_before == 1


@pytest.mark.usefixtures("ray_cluster")
def test_a_stop_before_the_first_training_leaves_all_of_them_to_the_next_call(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    done = train([task_of(tmp_path / "sounds", tmp_path / "fold")], 1, stop=stop)
    assert (done.num_trained, done.interrupted) == (0, True)


@pytest.mark.usefixtures("ray_cluster")
def test_more_workers_than_the_cluster_has_cpus_are_refused(tmp_path: Path) -> None:
    task = task_of(tmp_path / "sounds", tmp_path / "fold")
    recipe = replace(task.asked.recipe, batch_size=4_096, micro_batch_size=4)
    with pytest.raises(PreflightError, match="1024 workers want a CPU each"):
        train([replace(task, asked=replace(task.asked, recipe=recipe))], 1_024)


def driver(sounds: Path, folder: Path, point: str | None = None) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **({VARIABLE: point} if point else {})}
    command = [sys.executable, "-m", "tests.runners.train_driver", str(sounds), str(folder), "2"]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("point", ["after_step_of_worker_1:3", "before_state:2", "after_state:2"])
def test_workers_that_die_again_and_again_leave_the_curve_as_it_is(tmp_path: Path, point: str) -> None:
    """Worker 1 in an epoch's middle; all of them at an epoch's end, before and after its state is written."""
    # Of as many workers: another number of them sums in another order.
    whole = driver(tmp_path / "sounds", tmp_path / "whole")
    assert whole.wait(RAY_S) == 0, whole.stderr and whole.stderr.read()
    ended = driver(tmp_path / "sounds", tmp_path / "killed", point)
    assert ended.wait(RAY_S * 3) == 0, ended.stderr and ended.stderr.read()
    same_curve(tmp_path / "whole", tmp_path / "killed", 1e-6)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_a_driver_that_is_killed_is_resumed_with_the_same_curve(tmp_path: Path) -> None:
    whole = driver(tmp_path / "sounds", tmp_path / "whole")
    assert whole.wait(RAY_S) == 0, whole.stderr and whole.stderr.read()
    first = driver(tmp_path / "sounds", tmp_path / "killed")
    deadline = time.monotonic() + RAY_S
    while len(curve(tmp_path / "killed")) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert 3 <= len(curve(tmp_path / "killed")) < 9
    second = driver(tmp_path / "sounds", tmp_path / "killed")
    assert second.wait(RAY_S) == 0, second.stderr and second.stderr.read()
    same_curve(tmp_path / "whole", tmp_path / "killed", 1e-6)
