"""`mmer retry`: what it asks for, what it says and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmer_ray.errors import ErrorCode
from mmer_ray.runner import Runner
from mmer_ray.runners import retry
from mmer_ray.runners.retry import RetryOptions, RetryReport
from tests.cli.makers import Ended

Run = Callable[..., Ended]
Jobs = Callable[[RetryReport], list[RetryOptions]]
DONE = RetryReport(run_ids=("r",), num_scored=2, audio_s=30.0, wall_s=3.0)


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Jobs:
    """Let `retry.run` answer with a report; returns what it is asked."""
    asked: list[RetryOptions] = []

    def use(report: RetryReport) -> list[RetryOptions]:
        def run(options: RetryOptions, **_: Any) -> RetryReport:
            asked.append(options)
            return report

        monkeypatch.setattr(retry, "run", run)
        return asked

    return use


def test_all_arguments_reach_the_job(mmer: Run, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = jobs(DONE)
    looked_up: list[tuple[str, str]] = []
    monkeypatch.setattr("mmer_ray.cli.retry.require_corpus", lambda *named: looked_up.append(named))
    codes = ("--code", "io_error", "--code", "worker_crash")
    mmer("retry", "a", "b", "--lake", "l", *codes, "--corpus", "calls", "--runner", "inprocess", "--limit", 4)
    (options,) = asked
    assert options.codes == {ErrorCode.IO_ERROR, ErrorCode.WORKER_CRASH}
    assert (options.sources, options.lake, options.corpus) == (("a", "b"), "l", "calls")
    assert looked_up == [("l", "calls")]
    assert (options.runner, options.limit, options.profile) == (Runner.INPROCESS, 4, None)


def test_it_says_what_was_scored_and_ends_with_3_where_something_failed_again(mmer: Run, jobs: Jobs) -> None:
    jobs(DONE)
    done = mmer("retry", "--lake", "l")
    assert (done.code, done.out.splitlines()[0]) == (0, "2 scored, 0 failed again")
    jobs(RetryReport(num_failed=1, failures_by_code={"io_error": 1}, left={"/a.wav": "its words were given"}))
    failed = mmer("retry", "--lake", "l")
    assert failed.code == 3
    assert "/a.wav: its words were given" in failed.out
    document = json.loads(mmer("retry", "--lake", "l", "--json").out)
    assert (document["schema"], document["failures_by_code"]) == ("mmer.retry/1", {"io_error": 1})


def test_nothing_that_failed_so_is_said(mmer: Run, jobs: Jobs) -> None:
    jobs(RetryReport())
    done = mmer("retry", "--lake", "l", "--code", "worker_crash")
    assert (done.code, done.out.strip()) == (0, "no recording failed with worker_crash")


def test_a_code_that_does_not_exist_and_a_lake_that_is_not_there_are_refused(mmer: Run, tmp_path: Path) -> None:
    wrong = mmer("retry", "--lake", tmp_path / "none", "--code", "oops")
    assert (wrong.code, "no error is called so; codes are: empty_file" in wrong.err) == (2, True)
    no_lake = mmer("retry", "--lake", tmp_path / "none")
    assert (no_lake.code, "is not a lake" in no_lake.err) == (4, True)
