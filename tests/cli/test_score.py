"""`mmer score` and `mmer plan` around a job: what is printed, how it ends, what Ctrl-C does."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmer_ray.lake.ledger import Ledger
from mmer_ray.runner import Runner
from mmer_ray.runners import job
from mmer_ray.runners.job import JobOptions, JobPlan, JobReport, Progress
from mmer_ray.runners.tally import Untried
from mmer_ray.stages.caution import ACTED_GERMAN, SYNTHETIC
from tests.cli.makers import Ended, on_terminal, process

LEDGER = Ledger(
    num_planned=3, num_scored=2, num_failed=1, planned_ms=7_300, scored_ms=7_200, quarantined_ms=100,
    speech_ms=5_000, non_speech_ms=2_200,
)  # fmt: skip
REPORT = JobReport(
    run_id="20261121T000000-abc",
    runner=Runner.INPROCESS,
    num_scored=2,
    num_failed=0,
    num_skipped=4,
    audio_s=7_200.0,
    computed_s=7_200.0,
    wall_s=60.0,
    first_result_s=2.5,
    ledger=LEDGER,
)
UNTRIED = Untried(
    {"txt": 4, "(unreadable folder)": 1},
    {"txt": "/calls/a.txt", "(unreadable folder)": "/calls/lost+found/"},
    num_repeated=2,
    repeated_example="/calls/a.wav",
)
PATCH = """
import sys, threading
from mmer_ray.runner import Runner
from mmer_ray.runners import job
def run(options, *, on_progress=None, stop=None):
    on_progress(job.Progress(0.0, 100.0, 0, 10, 0))
    on_progress(job.Progress(50.0, 100.0, 5, 10, 1, "bad.wav: empty_file: \\x1b[31mnothing in it"))
    print("ready", file=sys.stderr, flush=True)
    stop.wait()
    if HANG:
        print("stopping", file=sys.stderr, flush=True)
        threading.Event().wait()
    return job.JobReport(run_id="r", runner="ray", num_scored=5, interrupted=True)
job.run = run
"""


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Callable[[JobReport], list[JobOptions]]:
    """Let `job.run` answer with a report; returns what it is asked."""
    asked: list[JobOptions] = []

    def use(report: JobReport) -> list[JobOptions]:
        def run(options: JobOptions, **_: Any) -> JobReport:
            asked.append(options)
            return report

        monkeypatch.setattr(job, "run", run)
        return asked

    return use


Jobs = Callable[[JobReport], list[JobOptions]]
Mmer = Callable[..., Ended]


def failing(**changes: Any) -> JobReport:
    codes = {"empty_file": 7, "truncated": 1, "a": 3, "b": 3, "c": 3, "d": 2}
    return JobReport(**{**vars(REPORT), "num_failed": 19, "failures_by_code": codes, **changes})


def test_the_folder_of_transcripts_reaches_the_job(mmer: Mmer, jobs: Callable[[JobReport], list[JobOptions]]) -> None:
    asked = jobs(REPORT)

    mmer("score", "a", "--lake", "l", "--transcripts", "t")
    mmer("score", "a", "--lake", "l")

    assert [options.transcripts for options in asked] == ["t", None]


def test_a_folder_of_transcripts_that_is_not_there_ends_with_2_and_its_name(mmer: Mmer, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")

    ended = mmer("plan", tmp_path, "--lake", tmp_path / "lake", "--transcripts", tmp_path / "none")

    assert ended.code == 2
    assert f"--transcripts {tmp_path / 'none'} is no folder" in ended.err


def test_all_arguments_reach_the_job(mmer: Mmer, jobs: Jobs) -> None:
    asked = jobs(REPORT)

    mmer(
        "score", "a", "s3://b/c", "--lake", "l", "--corpus", "calls", "--set", "run.max_actors=3", "--set",
        "diarize.max_speakers=2", "--runner", "ray", "--limit", "5", "--root", "/data", "--root", "s3://b",
    )  # fmt: skip

    (options,) = asked
    assert (options.sources, options.lake, options.corpus) == (("a", "s3://b/c"), "l", "calls")
    assert (options.profile.run.runner, options.limit, options.roots) == ("ray", 5, ("/data", "s3://b"))
    assert (options.profile.run.max_actors, options.profile.diarize.max_speakers) == (3, 2)


def test_the_summary_tells_counts_hours_and_speed(mmer: Mmer, jobs: Jobs) -> None:
    jobs(REPORT)

    ended = mmer("score", "a", "--lake", "my lake")

    assert ended.code == 0
    assert "2 scored, 0 failed, 4 already done" in ended.out
    assert "2.0 h of audio in 1 min 0 s, 120.0 x real time (inprocess)" in ended.out
    assert "mmer status --lake 'my lake'" in ended.out
    assert ended.err == ""


def test_failed_recordings_end_with_3_the_top_codes_and_the_command_that_lists_them(mmer: Mmer, jobs: Jobs) -> None:
    jobs(failing())

    ended = mmer("score", "a", "--lake", "l")

    assert ended.code == 3
    assert ended.out.index("7 empty_file") < ended.out.index("3 a")
    assert "1 with 1 other codes" in ended.out
    assert "WHERE status = 'failed'" in ended.out


def test_the_summary_names_what_was_not_tried(mmer: Mmer, jobs: Jobs) -> None:
    jobs(failing(untried=UNTRIED))

    out = mmer("score", "a", "--lake", "l").out
    document = json.loads(mmer("score", "a", "--lake", "l", "--json").out)

    assert "1 x (unreadable folder), such as /calls/lost+found/" in out
    assert "2 named again, such as /calls/a.wav" in out
    assert (document["left_out"], document["num_repeated"]) == (dict(UNTRIED.left_out), 2)


def test_recordings_that_failed_in_an_earlier_run_end_with_3_too(mmer: Mmer, jobs: Jobs) -> None:
    jobs(JobReport(run_id=None, runner=Runner.INPROCESS, num_known_failures=2, num_skipped=10))

    ended = mmer("score", "a", "--lake", "l")

    assert ended.code == 3
    assert "2 recordings of these sources failed earlier" in ended.out
    assert "WHERE status = 'failed'" in ended.out


def test_an_interrupted_job_ends_with_130_even_when_recordings_failed(mmer: Mmer, jobs: Jobs) -> None:
    jobs(failing(interrupted=True))

    ended = mmer("score", "a", "--lake", "l")

    assert ended.code == 130
    assert "the same command goes on from here" in ended.out


def test_recordings_that_failed_earlier_and_are_not_tried_again_end_with_3_and_are_named(
    mmer: Mmer, jobs: Jobs
) -> None:
    jobs(JobReport(run_id=None, runner="inprocess", num_skipped=12, num_known_failures=2))

    ended = mmer("score", "a", "--lake", "l")

    assert ended.code == 3
    assert ended.out.splitlines()[0] == "0 scored, 0 failed, 10 already done"
    assert "2 recordings of these sources failed earlier and are not tried again" in ended.out
    assert "WHERE status = 'failed'" in ended.out


def test_copies_are_told_apart_from_what_the_models_heard(mmer: Mmer, jobs: Jobs) -> None:
    ledger = replace(LEDGER, num_scored=3, num_copies=1, scored_ms=7_260_000)
    jobs(replace(REPORT, num_scored=3, ledger=ledger, audio_s=7_260.0, computed_s=7_200.0))

    out = mmer("score", "a", "--lake", "l").out
    document = json.loads(mmer("score", "a", "--lake", "l", "--json").out)

    assert "of these, 1 file with the bytes of another: models worked on 2.0 h" in out
    assert (document["num_scored"], document["num_copies"]) == (3, 1)
    assert (document["audio_s"], document["computed_s"]) == (7_260.0, 7_200.0)


def test_erased_recordings_are_counted_and_asked_for_by_an_option(
    mmer: Mmer, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = jobs(replace(REPORT, num_erased=2))

    out = mmer("score", "a", "--lake", "l").out
    document = json.loads(mmer("score", "a", "--lake", "l", "--erased", "--json").out)

    assert "2 recordings were erased and are left alone; --erased scores what was erased again" in out
    assert (document["num_erased"], document["ledger"]["num_erased"]) == (2, 0)
    assert [options.erased for options in asked] == [False, True]
    monkeypatch.setattr(job, "prepare", lambda _: planned(num_erased=2))
    assert "erased        2 recordings, left alone" in mmer("plan", "a", "--lake", "l").out
    assert json.loads(mmer("plan", "a", "--lake", "l", "--json").out)["num_erased"] == 2


def test_models_that_deserve_little_trust_come_with_a_caution_and_others_do_not(mmer: Mmer, jobs: Jobs) -> None:
    jobs(REPORT)
    command = ("score", "a", "--lake", "l")
    synthetic = (*command, "--profile", "synthetic")
    others = ("--set", "transcribe.model=/m/asr", "--set", "emotion.model=/m/emotion")

    assert ACTED_GERMAN in mmer(*command).out
    assert SYNTHETIC in mmer(*synthetic).out
    assert json.loads(mmer(*synthetic, "--json").out)["caution"] == SYNTHETIC
    assert SYNTHETIC in mmer(*synthetic, *others[:2]).out
    assert SYNTHETIC not in mmer(*synthetic, *others).out


def test_json_is_one_document_with_the_ledger_in_seconds(mmer: Mmer, jobs: Jobs) -> None:
    jobs(failing())

    ended = mmer("score", "a", "--lake", "l", "--json")
    document = json.loads(ended.out)

    assert (ended.code, document["schema"], document["num_failed"]) == (3, "mmer.score/1", 19)
    assert document["ledger"]["planned_s"] == 7.3
    assert document["ledger"]["difference_s"] == 0.0
    assert document["speed_x"] == 120.0


def test_a_job_with_nothing_to_do_says_so_without_a_speed(mmer: Mmer, jobs: Jobs) -> None:
    jobs(JobReport(run_id=None, runner=Runner.INPROCESS, num_skipped=12, wall_s=0.5))

    ended = mmer("score", "a", "--lake", "l")

    assert (ended.code, ended.out.splitlines()[0]) == (0, "0 scored, 0 failed, 12 already done")
    assert "real time" not in ended.out


def planned(**changes: Any) -> JobPlan:
    values = {
        "runner": "ray", "reason": "about 20 s on 2 actors", "num_todo": 2, "restarts": {"decode": 2}, "num_done": 1,
        "num_known_failures": 3, "num_copies": 0, "todo_s": 5_400.0, "done_s": 30.0,
        "estimate_s": (10.0, 40.0), "untried": UNTRIED,
    }  # fmt: skip
    return JobPlan(**{**values, **changes})


def test_the_plan_tells_files_hours_time_and_runner(mmer: Mmer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "prepare", lambda _: planned())

    out = mmer("plan", "a", "--lake", "l").out

    assert "2 recordings, 1.5 h of audio" in out
    assert "1 recording, 30.0 s" in out
    assert "4 x txt, not audio" in out
    assert "1 x (unreadable folder), such as /calls/lost+found/" in out
    assert "2 named again, such as /calls/a.wav" in out
    assert "10.0 s to 40.0 s" in out
    assert "ray: about 20 s on 2 actors" in out


def test_the_plan_as_json_has_counts_not_files(mmer: Mmer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "prepare", lambda _: planned(num_todo=0, estimate_s=None))

    document = json.loads(mmer("plan", "a", "--lake", "l", "--json").out)

    assert (document["schema"], document["num_todo"], document["estimate_s"]) == ("mmer.plan/1", 0, None)


def wait_for(child: subprocess.Popen[str], line: str) -> None:
    """Read stderr, where everything but results goes, up to a line."""
    assert child.stderr is not None
    assert line in (text.rstrip("\n") for text in child.stderr)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_stops_the_job_and_says_that_it_commits(signum: signal.Signals) -> None:
    child = process("HANG = False" + PATCH, "score", "a", "--lake", "l")
    wait_for(child, "ready")

    child.send_signal(signum)
    out, err = child.communicate()

    assert child.returncode == 130
    assert "what is finished is being committed" in err
    assert "5 scored" in out


def test_a_second_ctrl_c_ends_at_once() -> None:
    child = process("HANG = True" + PATCH, "score", "a", "--lake", "l")
    wait_for(child, "ready")

    child.send_signal(signal.SIGINT)
    wait_for(child, "stopping")
    child.send_signal(signal.SIGINT)
    _, err = child.communicate()

    assert child.returncode == 130
    assert "ended at once" in err


@pytest.fixture
def telling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `job.run` tell of one failure."""

    def run(_: JobOptions, *, on_progress: Callable[[Progress], None] | None, **__: Any) -> JobReport:
        if on_progress is not None:
            on_progress(Progress(50.0, 100.0, 5, 10, 1, "bad.wav: empty_file: \x1b[31mnothing in it"))
        return REPORT

    monkeypatch.setattr(job, "run", run)


@pytest.mark.usefixtures("telling")
def test_failures_are_told_on_stderr_as_they_come_without_their_escape_sequences(mmer: Mmer) -> None:
    assert mmer("score", "a", "--lake", "l").err == "bad.wav: empty_file: \ufffd[31mnothing in it\n"


@pytest.mark.usefixtures("telling")
@pytest.mark.parametrize("option", ["--quiet", "--no-progress"])
def test_progress_can_be_turned_off(mmer: Mmer, option: str) -> None:
    assert mmer("score", "a", "--lake", "l", option).err == ""


def test_a_terminal_gets_a_bar_with_the_measured_time_left() -> None:
    script = ("HANG = False" + PATCH).replace("stop.wait()", "import time; time.sleep(0.5)")

    shown = on_terminal(script, "score", "a", "--lake", "l", columns=80)

    assert re.search(r"about [\d.]+ s left, 5/10 recordings", shown)
    assert "\x1b[31mnothing" not in shown
