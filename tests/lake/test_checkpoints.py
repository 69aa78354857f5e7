"""Delta's checkpoints are final as soon as they are written, also those of a table whose commit never came."""

from __future__ import annotations

import json
import multiprocessing.context
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mmer_ray.failpoint import EXIT_STATUS
from mmer_ray.lake.store import Lake
from mmer_ray.tables import SCHEMAS, Row
from tests.lake.drill import die_at, run_job
from tests.lake.makers import EVERY_TABLE, audio_file, contents
from tests.slow import slow_but

INTERVAL = "delta.checkpointInterval"


@pytest.fixture(scope="module")
def drill() -> multiprocessing.context.ForkServerContext:
    """Processes that start with the libraries imported and nothing running."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["deltalake", "tests.lake.drill"])
    return context


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audio")
    for name in "abcd":
        audio_file(folder, f"{name}.wav")
    return folder


@pytest.fixture(scope="module")
def undisturbed(audio: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Row]]:
    lake = tmp_path_factory.mktemp("undisturbed") / "lake"
    run_job(lake, audio)
    return contents(lake)


def lake_with_checkpoints(folder: Path) -> Lake:
    """An empty lake that writes a checkpoint with every commit of a table."""
    lake = Lake(folder / "lake")
    lake.create()
    for name in SCHEMAS:
        lake.newest(name).alter.set_table_properties({INTERVAL: "1"})
    return lake


def version_of_checkpoint(log: Path) -> int:
    return int(json.loads((log / "_last_checkpoint").read_text())["version"])


def files_in_checkpoint(log: Path) -> list[str]:
    """The data files that a table's last checkpoint names."""
    checkpoint = log / f"{version_of_checkpoint(log):020d}.checkpoint.parquet"
    rows = pq.read_table(checkpoint, columns=["add"]).column("add").to_pylist()
    return [row["path"] for row in rows if row is not None]


def drop_older_log(lake: Path) -> None:
    """Leave each table what its last checkpoint does not say, as the cleaning of logs does."""
    for log in lake.glob("*/_delta_log"):
        for entry in log.glob("*.json"):
            if int(entry.stem) < version_of_checkpoint(log):
                entry.unlink()


def kill_at(point: str, lake: Path, audio: Path, drill: multiprocessing.context.ForkServerContext) -> None:
    victim = drill.Process(target=die_at, args=(point, lake, audio))
    victim.start()
    victim.join()
    assert victim.exitcode == EXIT_STATUS


@pytest.mark.parametrize("nth", slow_but([1, 2], [2]))
@pytest.mark.parametrize("name", ["words", "recordings"])
def test_a_checkpoint_that_is_final_before_its_commit_is_listed_shows_nothing(
    name: str,
    nth: int,
    audio: Path,
    undisturbed: dict[str, list[Row]],
    tmp_path: Path,
    drill: multiprocessing.context.ForkServerContext,
) -> None:
    lake = Path(lake_with_checkpoints(tmp_path).address)
    kill_at(f"after_append_{name}:{nth}", lake, audio, drill)
    files = files_in_checkpoint(lake / name / "_delta_log")
    assert len(files) == nth, "a file for each commit, the unfinished one among them"
    seen = contents(lake)
    assert len(seen["recordings"]) == 2 * (nth - 1)
    assert all(row in undisturbed[table] for table in EVERY_TABLE for row in seen[table])
    run_job(lake, audio)
    assert contents(lake) == undisturbed


def test_a_listed_commit_that_only_checkpoints_know_is_visible(
    audio: Path, undisturbed: dict[str, list[Row]], tmp_path: Path, drill: multiprocessing.context.ForkServerContext
) -> None:
    lake = Path(lake_with_checkpoints(tmp_path).address)
    kill_at("after_append_commits:2", lake, audio, drill)
    drop_older_log(lake)
    assert len(contents(lake)["recordings"]) == 4
    run_job(lake, audio)
    assert contents(lake) == undisturbed
