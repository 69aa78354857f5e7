"""Failed recordings tried again: as whole jobs, with members without weights, and on Ray where one kills its worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmer_ray.errors import ErrorCode
from mmer_ray.lake.run import begin_run
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.runner import Runner
from mmer_ray.runners import batch, retry
from mmer_ray.runners.retry import RetryOptions
from mmer_ray.stages.keys import keys_of
from tests.lake.makers import failed, plan_of, recording_at, taken
from tests.runners.drill import DrillShard
from tests.runners.tiny_lakes import TinyEngines, profile, rows, score, speech

ROWS = "SELECT parse_filename(uri) AS name, status, error_code, attempts FROM recordings ORDER BY uri"


def fail(lake: Path, path: Path, code: ErrorCode) -> None:
    """Let a file's newest row say that it failed."""
    keys = keys_of(profile())
    store = Lake(lake)
    recording = recording_at(path, path.parent, "default")
    with Writer(store, begin_run(profile(), keys), plan_of([recording], store, keys)) as writer:
        writer.add(taken(failed(recording, code), keys=keys))


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """One file is scored, two have failed a moment ago."""
    TinyEngines(monkeypatch)
    lake, audio = tmp_path / "lake", tmp_path / "audio"
    score(speech(audio / "a.wav", (0.1,), 0), lake)
    fail(lake, speech(audio / "b.wav", (0.1, 0.2), 1), ErrorCode.IO_ERROR)
    fail(lake, speech(audio / "c.wav", (0.1, 0.2, 0.3), 2), ErrorCode.DECODE_ERROR)
    return lake


def test_what_may_pass_is_tried_at_once_and_the_try_is_counted(lake: Path, tmp_path: Path) -> None:
    assert score(tmp_path / "audio", lake).num_scored == 0, "an hour has to pass"
    report = retry.run(RetryOptions(str(lake), runner=Runner.INPROCESS))
    assert (report.num_scored, report.num_failed) == (1, 0)
    assert rows(lake, ROWS)[1] == {"name": "b.wav", "status": "scored", "error_code": None, "attempts": 2}
    assert rows(lake, ROWS)[2]["status"] == "failed"


@pytest.mark.slow
def test_a_code_that_is_final_is_tried_when_it_is_named(lake: Path) -> None:
    report = retry.run(RetryOptions(str(lake), frozenset({ErrorCode.DECODE_ERROR}), runner=Runner.INPROCESS))
    assert report.num_scored == 1
    assert [row["attempts"] for row in rows(lake, ROWS)] == [1, 1, 2]
    assert rows(lake, ROWS)[1]["status"] == "failed", "another code"


@pytest.mark.slow
def test_what_fails_again_counts_another_try(lake: Path, tmp_path: Path) -> None:
    content = (tmp_path / "audio" / "b.wav").read_bytes()
    (tmp_path / "audio" / "b.wav").unlink()
    for attempts in (2, 3):
        report = retry.run(RetryOptions(str(lake), runner=Runner.INPROCESS))
        assert report.failures_by_code == {"not_found": 1}
        assert rows(lake, ROWS)[1]["attempts"] == attempts
    (tmp_path / "audio" / "b.wav").write_bytes(content)
    assert retry.run(RetryOptions(str(lake), runner=Runner.INPROCESS)).num_scored == 1
    assert score(tmp_path / "audio", lake).num_scored == 0, "its row has the size and the time of now"


@pytest.mark.slow
def test_sources_and_corpora_bound_what_is_tried(lake: Path, tmp_path: Path) -> None:
    codes = frozenset({ErrorCode.IO_ERROR, ErrorCode.DECODE_ERROR})
    assert retry.run(RetryOptions(str(lake), codes, corpus="other")).run_ids == ()
    one = RetryOptions(str(lake), codes, (str(tmp_path / "audio" / "c.wav"),), runner=Runner.INPROCESS)
    assert retry.run(one).num_scored == 1
    assert [row["status"] for row in rows(lake, ROWS)] == ["scored", "failed", "scored"]


@pytest.mark.slow
def test_a_recording_that_killed_its_workers_is_tried_on_ray_and_no_other_process_dies(
    ray_cluster: None, lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(lake, speech(tmp_path / "audio" / "always-kills.wav", (0.1,), 4), ErrorCode.WORKER_CRASH)
    monkeypatch.setattr(batch, "ScoreShard", DrillShard)
    report = retry.run(RetryOptions(str(lake), frozenset({ErrorCode.WORKER_CRASH})))
    assert report.failures_by_code == {"worker_crash": 1}
    (row,) = [row for row in rows(lake, ROWS) if row["name"] == "always-kills.wav"]
    assert (row["status"], row["attempts"]) == ("failed", 2)
