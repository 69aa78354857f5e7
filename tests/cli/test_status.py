"""`mmer status` on a lake made by the writer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from mmer_ray.cli.status import _balance, settled
from mmer_ray.lake.ledger import Ledger
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from tests.cli.makers import Ended
from tests.lake.makers import a_run, audio_file, plan_of, recording_at

Mmer = Callable[..., Ended]


def test_the_ledger_is_shown_and_sums(mmer: Mmer, lake: Path) -> None:
    ended = mmer("status", "--lake", lake)

    assert ended.code == 0
    assert "5 recordings: 4 scored, 1 failed" in ended.out
    assert "the ledger sums (difference 0.000 s)" in ended.out
    assert "scored 3,618.0 s = speech" in ended.out
    assert "20 words were read and not believed: 8 no speech, 12 repeated" in ended.out


def test_failures_stand_by_code_with_an_example_and_the_command_that_lists_them(mmer: Mmer, lake: Path) -> None:
    out = mmer("status", "--lake", lake).out

    (line,) = [line for line in out.splitlines() if "corrupt_header" in line]
    assert line.split()[:3] == ["1", "corrupt_header", "decode"]
    assert line.endswith("broken.wav")
    assert f'mmer query --lake {lake} "SELECT uri, error_code' in out


def test_the_command_that_lists_failures_works(mmer: Mmer, lake: Path) -> None:
    out = mmer("status", "--lake", lake).out
    (sql,) = [line.split('"')[1] for line in out.splitlines() if line.lstrip().startswith("mmer query")]

    assert "no samples in" in mmer("query", "--lake", lake, sql).out


def test_runs_have_a_line_each(mmer: Mmer, lake: Path) -> None:
    line = mmer("status", "--lake", lake).out.splitlines()[-1].split()

    assert line[1] == "finished"
    assert line[4:9] == ["test", "5", "4", "0", "1"]


def run(run_id: str, status: str) -> dict[str, object]:
    return {"run_id": run_id, "status": status}


def test_a_run_that_nobody_can_be_working_on_is_interrupted() -> None:
    runs = [run("c", "started"), run("b", "finished"), run("a", "started")]

    def statuses(may_be_running: bool) -> list[object]:
        return [one["status"] for one in settled(runs, may_be_running=may_be_running)]

    assert statuses(may_be_running=True) == ["started", "finished", "interrupted"]
    assert statuses(may_be_running=False) == ["interrupted", "finished", "interrupted"]


def test_a_killed_run_is_shown_as_interrupted_and_a_running_one_as_started(mmer: Mmer, tmp_path: Path) -> None:
    recording = recording_at(audio_file(tmp_path, "a.wav"), tmp_path)
    lake = Lake(tmp_path / "lake")
    with lake.lock(), Writer(lake, a_run(), plan_of([recording], lake)) as writer:
        assert json.loads(mmer("status", "--lake", lake.address, "--json").out)["runs"][0]["status"] == "started"
        # The state of the tables is what a kill here would leave behind.
        shutil.copytree(lake.address, tmp_path / "killed")
        writer.interrupt()

    out = mmer("status", "--lake", tmp_path / "killed").out

    assert "interrupted: the run was stopped or killed" in out
    assert " started " not in out.replace("started (UTC)", "")


def test_a_lake_with_a_missing_file_is_damaged_and_never_read_as_empty(mmer: Mmer, lake: Path, tmp_path: Path) -> None:
    shutil.copytree(lake, tmp_path / "damaged")
    for file in (tmp_path / "damaged" / "recordings").rglob("*.parquet"):
        file.unlink()

    for words in (["status"], ["query", "SELECT * FROM recordings"], ["show", "call.opus"]):
        ended = mmer(*words, "--lake", tmp_path / "damaged")

        assert (ended.code, ended.out) == (4, "")
        assert "recordings" in ended.err
        assert "restore" in ended.err


def test_json_is_one_document(mmer: Mmer, lake: Path) -> None:
    document = json.loads(mmer("status", "--lake", lake, "--json").out)

    assert document["schema"] == "mmer.status/1"
    assert document["ledger"]["scored_s"] == 3_618.0
    assert [failure["error_code"] for failure in document["failures"]] == ["corrupt_header"]
    assert document["runs"][0]["status"] == "finished"


def test_a_ledger_that_does_not_sum_is_said_loudly() -> None:
    text, style = _balance(Ledger(planned_ms=10_000, scored_ms=9_000, speech_ms=9_000))

    assert text == "  the ledger does not sum: 1.000 s are missing or counted twice"
    assert style == "red"
