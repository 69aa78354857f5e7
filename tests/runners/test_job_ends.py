"""How a job ends when its store or its surroundings fail. No model runs: the pipeline answers at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mmer_ray.errors import ErrorCode, StoreError, SystematicFailureError
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.pipelines import corpus
from mmer_ray.profiles import load_profile
from mmer_ray.records import Failure, ScoredRecording, Task
from mmer_ray.runners import driver, job, upkeep
from mmer_ray.runners.job import JobOptions
from mmer_ray.runners.store_retry import StoreRetry

SETTINGS = ("run.runner=inprocess", "run.first_commit_s=0.001", "run.commit_every_s=0.001")


class Instant:
    """A pipeline that finds every file bad."""

    code = ErrorCode.EMPTY_FILE

    def __init__(self, *_: object, **__: object) -> None: ...

    def __enter__(self) -> Instant:
        return self

    def __exit__(self, *_: object) -> None: ...

    def score(self, tasks: Iterable[Task], on_heard: object = None) -> Iterator[ScoredRecording]:
        for task in tasks:
            yield ScoredRecording(task.recording, "failed", failure=Failure(self.code, "decode", "nothing in it"))


@pytest.fixture(autouse=True)
def instant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "Pipeline", Instant)


def files(folder: Path, num: int) -> Path:
    """Files of different sizes, so that none may be a copy of another."""
    calls = folder / "calls"
    calls.mkdir()
    for index in range(num):
        (calls / f"{index:03d}.wav").write_bytes(b"." * (index + 1))
    return calls


def asked(calls: Path, lake: Path, *settings: str) -> JobOptions:
    return JobOptions((str(calls),), str(lake), load_profile("synthetic", [*SETTINGS, *settings]))


def num_rows(lake: Path) -> int:
    with open_lake(lake) as reader:
        return int(reader.sql("SELECT count(*) AS n FROM recordings").to_pylist()[0]["n"])


def test_a_store_that_goes_away_ends_the_job_with_its_commits_and_the_next_run_does_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, lake = files(tmp_path, 8), tmp_path / "lake"
    append = Lake.append
    num_commits = 0

    def failing(self: Lake, name: str, *arguments: Any) -> bool:
        nonlocal num_commits
        if num_commits >= 2:
            raise StoreError("no route to the bucket")
        num_commits += name == "commits"
        return append(self, name, *arguments)

    monkeypatch.setattr(driver, "StoreRetry", lambda sleep: StoreRetry((0.0, 0.0), sleep))
    with monkeypatch.context() as away:
        away.setattr(Lake, "append", failing)
        with pytest.raises(StoreError, match=r"failed 3 times.*no route to the bucket.*run the same command again"):
            job.run(asked(calls, lake))
    committed = num_rows(lake)
    assert 2 <= committed < 8
    report = job.run(asked(calls, lake))
    assert (report.num_failed, report.num_known_failures) == (8 - committed, committed)
    assert num_rows(lake) == 8


def test_a_job_whose_recordings_all_fail_for_our_reasons_ends_and_keeps_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Instant, "code", ErrorCode.INTERNAL)
    calls, lake = files(tmp_path, 30), tmp_path / "lake"
    with pytest.raises(SystematicFailureError, match=r"20 of the first 20 recordings.*internal: nothing in it"):
        job.run(asked(calls, lake))
    assert 20 <= num_rows(lake) < 30
    with open_lake(lake) as reader:
        assert reader.sql("SELECT status FROM runs ORDER BY written_at").to_pylist()[-1] == {"status": "interrupted"}


def test_a_folder_of_bad_files_is_no_reason_to_end(tmp_path: Path) -> None:
    report = job.run(asked(files(tmp_path, 30), tmp_path / "lake"))
    assert (report.num_failed, report.failures_by_code) == (30, {"empty_file": 30})


def test_a_job_joins_small_files_once_there_are_many(tmp_path: Path) -> None:
    calls, lake = files(tmp_path, 3), tmp_path / "lake"
    assert job.run(asked(calls, lake, "run.compact_after_files=100")).warnings == ()
    num_files = len(Lake(lake).files("recordings"))
    assert num_files > 1
    for index in range(3, 6):
        (calls / f"{index:03d}.wav").write_bytes(b"." * (index + 1))
    assert job.run(asked(calls, lake, f"run.compact_after_files={num_files}")).num_failed == 3
    assert len(Lake(lake).files("recordings")) == 1
    assert num_rows(lake) == 6


def test_with_0_files_are_never_joined(tmp_path: Path) -> None:
    calls, lake = files(tmp_path, 5), tmp_path / "lake"
    job.run(asked(calls, lake, "run.compact_after_files=0"))
    assert len(Lake(lake).files("recordings")) > 1


def test_a_compaction_that_fails_is_a_warning_of_a_finished_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise StoreError("No space left on device")

    monkeypatch.setattr(upkeep, "compact_if_due", full_disk)
    calls, lake = files(tmp_path, 3), tmp_path / "lake"
    report = job.run(asked(calls, lake, "run.compact_after_files=1"))
    assert report.num_failed == num_rows(lake) == 3
    (warning,) = report.warnings
    assert "could not be joined: No space left on device" in warning
