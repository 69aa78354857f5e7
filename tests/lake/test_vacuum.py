"""What nobody reads any more is deleted, and nothing else."""

from __future__ import annotations

import multiprocessing.context
import os
import shutil
import time
from pathlib import Path

import pytest
from deltalake import DeltaTable

from mmer_ray.errors import LakeError
from mmer_ray.failpoint import EXIT_STATUS
from mmer_ray.lake.compaction import compact
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.lake.vacuum import vacuum
from mmer_ray.tables import SCHEMAS
from tests.lake.drill import die_at, vacuum_until
from tests.lake.makers import EVERY_TABLE, audio_file, contents, job, listing
from tests.lake.serving_rows import require_true
from tests.lake.test_writer import six_files
from tests.slow import slow_but


@pytest.fixture(scope="module")
def drill() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["deltalake", "tests.lake.drill"])
    return context


@pytest.fixture(scope="module")
def compacted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compacted")
    job(Lake(folder / "lake"), listing(six_files(folder / "audio")))
    compact(Lake(folder / "lake"))
    return folder / "lake"


@pytest.fixture
def lake(compacted: Path, tmp_path: Path) -> Lake:
    shutil.copytree(compacted, tmp_path / "lake")
    return Lake(tmp_path / "lake")


def on_disk(lake: Lake) -> set[str]:
    return {str(path) for path in Path(lake.address).rglob("*.parquet") if "_delta_log" not in path.parts}


def named(lake: Lake) -> set[str]:
    """The files that some table consists of."""
    return {file.path for name in SCHEMAS for file in lake.files(name)}


def test_the_files_of_a_day_stay_and_with_none_kept_all_others_go(lake: Lake) -> None:
    before, rows = on_disk(lake), contents(lake.address)
    assert vacuum(lake).num_files == 0
    assert on_disk(lake) == before
    would = vacuum(lake, 0, dry_run=True)
    assert on_disk(lake) == before
    done = vacuum(lake, 0)
    assert done.num_files == would.num_files == len(before - named(lake)) > 0
    assert done.num_bytes > 0
    assert on_disk(lake) == named(lake)
    assert contents(lake.address) == rows
    require_true(lake.address)


@pytest.mark.slow
def test_a_version_of_the_kept_time_can_still_be_read(lake: Lake) -> None:
    old = DeltaTable(Path(lake.address) / "utterances", version=1)
    before = old.to_pyarrow_table()
    vacuum(lake)
    assert DeltaTable(Path(lake.address) / "utterances", version=1).to_pyarrow_table().equals(before)


@pytest.mark.slow
def test_a_reader_that_is_open_reads_on(lake: Lake, tmp_path: Path) -> None:
    job(lake, listing(six_files(tmp_path / "audio"), "other"))
    with open_lake(lake.address) as reader:
        before = reader.sql("FROM utterances ORDER BY ALL")
        compact(lake)
        vacuum(lake)
        assert reader.sql("FROM utterances ORDER BY ALL").equals(before)


@pytest.mark.slow
def test_the_orphans_of_torn_writes_go_once_they_are_old(lake: Lake) -> None:
    folder = Path(lake.files("words")[0].path).parent
    young, old = folder / "part-young.parquet", folder / "part-old.parquet"
    for path in (young, old):
        path.write_bytes(b"PAR1")
    two_days_ago = time.time() - 2 * 86_400
    os.utime(old, (two_days_ago, two_days_ago))
    assert [Path(path).name for path in vacuum(lake).files["words"]] == [old.name]
    assert (young.exists(), old.exists()) == (True, False)
    vacuum(lake, 0)
    assert not young.exists()


@pytest.mark.slow
def test_rows_of_unfinished_commits_go_and_then_their_files(
    tmp_path: Path, drill: multiprocessing.context.ForkServerContext
) -> None:
    victim = drill.Process(
        target=die_at, args=("before_append_commits:2", tmp_path / "lake", six_files(tmp_path / "a"))
    )
    victim.start()
    victim.join()
    lake = Lake(tmp_path / "lake")
    before = contents(lake.address)
    num_torn = sum(part.num_torn for part in vacuum(lake, dry_run=True).torn)
    assert num_torn == sum(part.num_torn for part in vacuum(lake).torn) > 0
    assert vacuum(lake, dry_run=True).torn == ()
    vacuum(lake, 0)
    assert contents(lake.address) == before
    with open_lake(lake.address) as reader:
        finished = {row["commit_id"] for row in reader.sql("FROM commits").to_pylist()}
    for name in EVERY_TABLE:
        for file in lake.files(name):
            assert file.first_commit in finished, "files of one commit"
    assert on_disk(lake) == named(lake)


@pytest.mark.parametrize(
    "name", slow_but(["recordings", "utterances", "commits", "serving_utterances"], ["utterances"])
)
def test_a_kill_on_the_way_leaves_the_lake_whole_and_the_next_one_goes_on(
    name: str, lake: Lake, tmp_path: Path, drill: multiprocessing.context.ForkServerContext
) -> None:
    audio_file(tmp_path / "audio", "new.wav")
    job(lake, listing(tmp_path / "audio"))
    compact(lake)
    rows = contents(lake.address)
    victim = drill.Process(target=vacuum_until, args=(f"after_sweep_{name}", lake.address))
    victim.start()
    victim.join()
    assert victim.exitcode == EXIT_STATUS
    assert contents(lake.address) == rows
    vacuum(Lake(lake.address), 0)
    assert contents(lake.address) == rows
    assert on_disk(lake) == named(Lake(lake.address))


@pytest.mark.slow
def test_nobody_deletes_while_another_writes(lake: Lake) -> None:
    with Lake(lake.address).lock(), pytest.raises(LakeError, match="is being written"):
        vacuum(Lake(lake.address), 0)


@pytest.mark.slow
def test_a_place_that_is_no_lake_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="is not a lake"):
        vacuum(Lake(tmp_path / "nothing"))
