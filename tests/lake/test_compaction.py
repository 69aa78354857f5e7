"""Small files joined: the same rows before, during and after, also where the power fails."""

from __future__ import annotations

import multiprocessing.context
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmer_ray.errors import LakeError
from mmer_ray.failpoint import EXIT_STATUS
from mmer_ray.lake.compaction import compact, compact_if_due
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.tables import DERIVED_TABLES, SCHEMAS, SORT_KEYS
from tests.lake.drill import compact_until, die_at
from tests.lake.makers import EVERY_TABLE, KEYS, audio_file, contents, job, listing, newer, recording_at
from tests.lake.serving_rows import require_true
from tests.lake.test_writer import six_files
from tests.slow import slow_but

FIXTURE = Path(__file__).parent / "fixtures" / "lake_v1"
BASE_TABLES = [name for name in SCHEMAS if name not in DERIVED_TABLES]
POINTS = [
    f"{step}_{name}"
    for step in ("before_rewrite", "after_files", "after_rewrite")
    for name in ("utterances", "runs", "commits", *DERIVED_TABLES)
]
SOONEST = ("after_rewrite_commits",)
"""Points that every run of the tests dies at; the others are slow ones."""
HISTORY = ("runs", "commits", "active_scorers")


@pytest.fixture(scope="module")
def drill() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["deltalake", "tests.lake.drill"])
    return context


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a commit for each recording, two corpora, two emotion models, and a commit that was torn."""
    folder = tmp_path_factory.mktemp("scored")
    audio = six_files(folder / "audio")
    for corpus, keys in (("calls", KEYS), ("other", KEYS), ("calls", newer("emotion"))):
        job(Lake(folder / "lake"), listing(audio, corpus), keys)
    return folder / "lake"


@pytest.fixture
def lake(scored: Path, tmp_path: Path) -> Lake:
    shutil.copytree(scored, tmp_path / "lake")
    return Lake(tmp_path / "lake")


def seen(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """All rows that a reader sees, the lake's history among them."""
    with open_lake(lake.address) as reader:
        history = {name: reader.sql(f"FROM {name} ORDER BY ALL").to_pylist() for name in HISTORY}
    return contents(lake.address) | history


def raw(lake: Lake, name: str) -> list[str]:
    """A table's rows as they lie in its files, each as text."""
    found: list[dict[str, Any]] = []
    for file in lake.files(name):
        found += pq.read_table(file.path, partitioning=None).to_pylist()
    return sorted(str(sorted(row.items())) for row in found)


def versions(lake: Lake) -> dict[str, int]:
    return {name: int(Lake(lake.address).newest(name).version()) for name in SCHEMAS}


def test_a_compacted_lake_says_the_same_in_one_file_a_partition(lake: Lake) -> None:
    before, rows = seen(lake), {name: raw(lake, name) for name in BASE_TABLES}
    done = compact(lake)
    assert {part.table for part in done.parts} >= {*EVERY_TABLE, "runs", "commits", "active_scorers"}
    assert done.rebuilt == (("calls", "2026-11"), ("other", "2026-11"))
    assert seen(lake) == before
    for name in BASE_TABLES:
        assert raw(lake, name) == rows[name], "the history stays"
        places = [(file.corpus, file.month) for file in lake.files(name)]
        assert len(places) == len(set(places)), name
    require_true(lake.address)


@pytest.mark.slow
def test_the_rows_of_a_file_are_sorted(lake: Lake) -> None:
    compact(lake)
    for name in SCHEMAS:
        keys: list[Any] = [(key, "ascending") for key in SORT_KEYS[name]]
        for file in lake.files(name):
            rows = pq.read_table(file.path, partitioning=None).select(SORT_KEYS[name])
            assert rows.equals(rows.sort_by(keys)), name


@pytest.mark.slow
def test_a_second_compaction_has_nothing_to_do(lake: Lake) -> None:
    compact(lake)
    before = versions(lake)
    done = compact(Lake(lake.address))
    assert (done.parts, done.rebuilt) == ((), ())
    assert versions(lake) == before


@pytest.mark.slow
def test_a_dry_run_says_what_would_be_done_and_changes_nothing(lake: Lake) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path(lake.address).rglob("*")}
    would = compact(lake, dry_run=True)
    assert {path: path.stat().st_mtime_ns for path in Path(lake.address).rglob("*") if path.name != "writer.lock"} == {
        path: at for path, at in before.items() if path.name != "writer.lock"
    }
    done = compact(lake)
    assert [(part.table, part.partition, part.files) for part in would.parts] == [
        (part.table, part.partition, part.files) for part in done.parts
    ]
    assert would.rebuilt == done.rebuilt


@pytest.mark.slow
def test_one_corpus_alone(lake: Lake) -> None:
    others = {file.path for name in EVERY_TABLE for file in lake.files(name) if file.corpus == "other"}
    done = compact(lake, "calls")
    assert {part.corpus for part in done.parts} == {"calls"}
    assert done.rebuilt == (("calls", "2026-11"),)
    assert {file.path for name in EVERY_TABLE for file in lake.files(name) if file.corpus == "other"} == others
    require_true(lake.address)


@pytest.mark.slow
def test_rows_of_an_unfinished_commit_go(tmp_path: Path, drill: multiprocessing.context.ForkServerContext) -> None:
    audio = six_files(tmp_path / "audio")
    victim = drill.Process(target=die_at, args=("before_append_commits:2", tmp_path / "lake", audio))
    victim.start()
    victim.join()
    assert victim.exitcode == EXIT_STATUS
    lake = Lake(tmp_path / "lake")
    before = seen(lake)
    finished = {row["commit_id"] for row in before["commits"]}
    assert {part.num_torn for part in compact(lake).parts if part.table in EVERY_TABLE} >= {1}
    assert seen(lake) == before
    for name in EVERY_TABLE:
        for file in lake.files(name):
            assert set(pq.read_table(file.path, partitioning=None)["commit_id"].to_pylist()) <= finished, name


@pytest.mark.slow
def test_a_partition_of_unfinished_commits_alone_goes(
    tmp_path: Path, drill: multiprocessing.context.ForkServerContext
) -> None:
    audio = six_files(tmp_path / "audio")
    victim = drill.Process(target=die_at, args=("before_append_commits:1", tmp_path / "lake", audio))
    victim.start()
    victim.join()
    lake = Lake(tmp_path / "lake")
    assert lake.files("utterances")
    compact(lake)
    assert all(not lake.files(name) for name in EVERY_TABLE)
    assert len(raw(lake, "runs")) == 1


@pytest.mark.parametrize("point", slow_but(POINTS, SOONEST))
def test_a_kill_at_any_step_leaves_the_lake_whole_and_the_next_compaction_goes_on(
    point: str, lake: Lake, drill: multiprocessing.context.ForkServerContext
) -> None:
    before = seen(lake)
    victim = drill.Process(target=compact_until, args=(point, lake.address))
    victim.start()
    victim.join()
    assert victim.exitcode == EXIT_STATUS
    assert seen(Lake(lake.address)) == before
    require_true(lake.address)
    compact(Lake(lake.address))
    assert seen(Lake(lake.address)) == before
    require_true(lake.address)
    again = compact(Lake(lake.address), dry_run=True)
    assert (again.parts, again.rebuilt) == ((), ())


@pytest.mark.slow
def test_a_reader_that_was_open_before_reads_on(lake: Lake) -> None:
    with open_lake(lake.address) as reader:
        before = reader.sql("FROM utterances ORDER BY ALL")
        compact(lake)
        assert reader.sql("FROM utterances ORDER BY ALL").equals(before)


@pytest.mark.slow
def test_what_is_read_between_two_tables_is_the_same(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmer_ray.lake import compaction, serving_build

    before, looks = seen(lake), []
    replace = compaction.replace_rows

    def watched(*arguments: Any) -> int:
        answer = replace(*arguments)
        assert seen(Lake(lake.address)) == before
        require_true(lake.address)
        looks.append(arguments[1])
        return answer

    monkeypatch.setattr(compaction, "replace_rows", watched)
    monkeypatch.setattr(serving_build, "replace_rows", watched)
    compact(lake)
    assert set(looks) >= {*EVERY_TABLE, *DERIVED_TABLES, "runs", "commits"}


@pytest.mark.slow
def test_nobody_compacts_while_another_writes(lake: Lake) -> None:
    with Lake(lake.address).lock(), pytest.raises(LakeError, match="is being written"):
        compact(Lake(lake.address))


@pytest.mark.slow
def test_rows_that_get_lost_on_the_way_end_it(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmer_ray.lake import compaction

    before = seen(lake)

    def losing(rows: pa.RecordBatchReader, lacking: object) -> Iterator[pa.RecordBatch]:
        yield from list(rows)[1:]

    with monkeypatch.context() as patch:
        patch.setattr(compaction, "_with_nulls", losing)
        with pytest.raises(LakeError, match="nothing was changed"):
            compact(lake)
    assert seen(Lake(lake.address)) == before


@pytest.mark.slow
def test_a_place_that_is_no_lake_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="is not a lake"):
        compact(Lake(tmp_path / "nothing"))


@pytest.mark.slow
def test_corpora_with_odd_names(tmp_path: Path) -> None:
    path = audio_file(tmp_path / "audio", "a.wav")
    more = audio_file(tmp_path / "audio", "b.wav")
    lake = Lake(tmp_path / "Jo's lake #1 {ü} & co")
    for corpus in ("a b", "ü/%=x'*[1]", "../up"):
        job(lake, [recording_at(one, path.parent, corpus) for one in (path, more)])
    before = contents(lake.address)
    compact(lake)
    assert contents(lake.address) == before
    require_true(lake.address)
    job(lake, [recording_at(audio_file(tmp_path / "audio", "c.wav"), path.parent, "../up")])
    compact(lake)
    assert len(lake.files("serving_utterances")) == 3, "each corpus is shown the audio that it shares"
    require_true(lake.address)


@pytest.mark.slow
def test_a_lake_of_version_1_reads_as_before(tmp_path: Path) -> None:
    shutil.copytree(FIXTURE, tmp_path / "lake")
    lake = Lake(tmp_path / "lake")
    before = contents(lake.address)
    compact(lake)
    assert contents(lake.address) == before
    require_true(lake.address)


@pytest.mark.slow
def test_only_a_lake_with_many_small_files_is_due(lake: Lake) -> None:
    most = max(
        sum(one.corpus == file.corpus for one in lake.files(name)) for name in SCHEMAS for file in lake.files(name)
    )
    assert compact_if_due(lake, most) is None
    done = compact_if_due(lake, most - 1)
    assert done is not None
    assert {part.table for part in done.parts} >= set(EVERY_TABLE), "then everything is joined"
    assert compact_if_due(lake, 1) is None
