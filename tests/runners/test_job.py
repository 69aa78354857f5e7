"""Whole jobs on the embedded models: the same rows from both runners, after a kill, and beside poison."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmer_ray.demo.truth import CALLS
from mmer_ray.errors import LakeError
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.profiles import load_profile
from mmer_ray.runners import job
from mmer_ray.runners.job import JobOptions, JobReport
from tests.runners.clips import cut_clips, results, scores

STEREO = tuple(str(call) for call in sorted(CALLS.glob("*.opus"))[:4])
MMER = [str(Path(sys.executable).with_name("mmer"))]
SYNTHETIC = ("--profile", "synthetic")


def asked(source: Path, lake: Path, *settings: str, **changes: Any) -> JobOptions:
    return JobOptions((str(source),), str(lake), load_profile("synthetic", settings), **changes)


def score(source: Path, lake: Path, *settings: str, **changes: Any) -> JobReport:
    return job.run(asked(source, lake, *settings, **changes))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    cut_clips(folder, 40)
    return folder


@pytest.fixture(scope="module")
def whole_lake(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clips scored in one go, in process."""
    lake = tmp_path_factory.mktemp("whole") / "lake"
    report = score(clips, lake, "run.runner=inprocess")
    assert (report.num_scored, report.num_failed) == (40, 0)
    return lake


@pytest.fixture(scope="module")
def stereo_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some calls of the demo, scored in process: stereo ones among them."""
    lake = tmp_path_factory.mktemp("stereo") / "lake"
    job.run(JobOptions(STEREO, str(lake), load_profile("synthetic", ["run.runner=inprocess"])))
    return lake


def test_ray_and_the_plain_loop_give_equal_rows_of_clips_and_of_stereo_calls(
    ray_cluster: None, clips: Path, whole_lake: Path, stereo_lake: Path, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    options = JobOptions((str(clips), *STEREO), str(lake), load_profile("synthetic", ["run.runner=ray"]))
    assert job.run(options).runner == "ray"
    expected = [results(whole_lake), results(stereo_lake)]
    assert results(lake) == {table: sorted(expected[0][table] + expected[1][table]) for table in expected[0]}
    both = sorted(scores(whole_lake) + scores(stereo_lake), key=lambda row: (row["recording_id"], row["utterance_idx"]))
    for ours, theirs in zip(scores(lake), both, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-3)


def test_rows_of_a_parquet_file_give_the_answers_of_the_files_that_they_were(
    clips: Path, whole_lake: Path, tmp_path: Path
) -> None:
    cells = [{"bytes": clip.read_bytes(), "path": clip.name} for clip in sorted(clips.iterdir())[:8]]
    pq.write_table(pa.table({"audio": cells}), tmp_path / "clips.parquet", row_group_size=3)
    asking = asked(tmp_path / "clips.parquet", tmp_path / "lake", "run.runner=inprocess")
    report = job.run(asking)
    assert (report.num_scored, report.num_failed) == (8, 0)
    found, expected = results(tmp_path / "lake"), results(whole_lake)
    # The digest of its bytes names a recording, wherever they lie.
    ids = {row[0] for row in found.pop("recordings")}
    for table, rows in found.items():
        assert rows == [row for row in expected[table] if row[0] in ids]
    assert len(found["words"]) > 8
    assert job.prepare(asking).num_todo == 0


def written(lake: Path) -> dict[Path, int]:
    """When each file was written, but for the lock, which every job signs."""
    files = [path for path in lake.rglob("*") if path.is_file() and path.name != "writer.lock"]
    return {path: path.stat().st_mtime_ns for path in files}


def test_the_same_job_again_computes_nothing_and_writes_nothing(clips: Path, whole_lake: Path) -> None:
    before = written(whole_lake)
    report = score(clips, whole_lake)
    assert (report.run_id, report.num_scored, report.num_skipped) == (None, 0, 40)
    assert written(whole_lake) == before


def test_a_killed_job_goes_on_to_the_rows_of_one_that_was_not(clips: Path, whole_lake: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    command = [*MMER, "score", str(clips), "--lake", str(lake), *SYNTHETIC, "--runner", "inprocess"]
    # Commits after every few clips: the kill falls between two commits.
    killed = subprocess.Popen([*command, "--set", "run.batch_s=15", "--set", "run.commit_every_s=0.01"])
    while _num_committed(lake) == 0:
        assert killed.poll() is None, "the job ended before it could be killed"
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    committed = _num_committed(lake)
    assert 0 < committed < 40
    report = score(clips, lake, "run.runner=inprocess")
    assert (report.num_skipped, report.num_scored) == (committed, 40 - committed)
    assert results(lake) == results(whole_lake)


def test_stopping_commits_what_is_finished_and_the_next_run_does_the_rest(
    clips: Path, whole_lake: Path, tmp_path: Path
) -> None:
    stop = threading.Event()
    options = JobOptions(
        (str(clips),), str(tmp_path / "lake"), load_profile("synthetic", ["run.batch_s=15", "run.runner=inprocess"])
    )
    first = job.run(options, on_progress=lambda progress: progress.num_done and stop.set(), stop=stop)
    assert first.interrupted
    assert 0 < first.num_scored < 40
    second = job.run(options)
    assert first.num_scored + second.num_scored == 40
    assert results(tmp_path / "lake") == results(whole_lake)


def test_files_that_crash_hang_or_eat_memory_are_rows_with_codes(tmp_path: Path) -> None:
    folder = tmp_path / "calls"
    folder.mkdir()
    cut_clips(folder, 15, clip_s=1.0)
    for index, fault in enumerate(("crash", "hang", "memory")):
        (folder / f"clip-{index * 5 + 2:02d}.wav").rename(folder / f"{fault}.wav")
    environment = {**os.environ, "MMER_FAULTS": "crash=*crash.wav,hang=*hang.wav,memory=*memory.wav"}
    lake = str(tmp_path / "lake")
    command = [*MMER, "score", str(folder), "--lake", lake, *SYNTHETIC, "--set", "decode.stall_s=5", "--json"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 3, ended.stderr
    report = json.loads(ended.stdout)
    assert (report["num_scored"], report["num_failed"]) == (12, 3)
    assert report["failures_by_code"] == {"decoder_crash": 1, "decode_timeout": 1, "out_of_memory": 1}


def test_renamed_audio_costs_nothing(clips: Path, tmp_path: Path) -> None:
    folder, lake = tmp_path / "calls", tmp_path / "lake"
    folder.mkdir()
    (folder / "first.wav").write_bytes((clips / "clip-00.wav").read_bytes())
    score(folder, lake)
    (folder / "first.wav").rename(folder / "second.wav")
    (folder / "copy.wav").write_bytes((folder / "second.wav").read_bytes())
    report = score(folder, lake)
    assert report.ledger.num_copies == 2
    with open_lake(lake) as reader:
        assert reader.sql("SELECT count(DISTINCT recording_id) AS n FROM recordings").to_pylist() == [{"n": 1}]


def test_bad_files_of_equal_bytes_are_a_failure_each_everywhere(tmp_path: Path) -> None:
    folder, lake = tmp_path / "calls", tmp_path / "lake"
    folder.mkdir()
    for index in range(5):
        (folder / f"bad-{index}.wav").write_bytes(b"RIFF no sound at all")
    report = score(folder, lake)
    assert (report.num_failed, report.ledger.num_failed, sum(report.failures_by_code.values())) == (5, 5, 5)
    again = score(folder, lake)
    assert (again.num_failed, again.num_known_failures, again.num_skipped) == (0, 5, 5)


def test_a_limit_takes_the_longest_first_and_plan_says_so(clips: Path, tmp_path: Path) -> None:
    options = JobOptions((str(clips),), str(tmp_path / "lake"), load_profile("synthetic"), limit=3)
    planned = job.prepare(options)
    assert (planned.num_todo, planned.todo_s) == (3, pytest.approx(9.0))
    assert planned.estimate_s is not None
    assert not (tmp_path / "lake").exists(), "a plan writes nothing"


def test_a_second_writer_is_refused(clips: Path, whole_lake: Path, tmp_path: Path) -> None:
    cut_clips(tmp_path, 1, clip_s=2.0)
    with Lake(whole_lake).lock(), pytest.raises(LakeError, match="being written"):
        score(tmp_path, whole_lake)


def _num_committed(lake: Path) -> int:
    if not (lake / "commits" / "_delta_log").exists():
        return 0
    with open_lake(lake) as reader:
        rows = reader.sql("SELECT count(*) AS n FROM recordings").to_pylist()
    return int(rows[0]["n"])
