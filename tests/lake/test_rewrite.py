"""A partition's rows replaced in one transaction: whole, in order, and whole again after a kill at any step."""

from __future__ import annotations

import contextlib
import multiprocessing.context
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmer_ray.errors import LakeError, StoreError
from mmer_ray.failpoint import EXIT_STATUS
from mmer_ray.lake import data_files
from mmer_ray.lake.rewrite import forget_earlier, replace_rows, sweep
from mmer_ray.lake.store import Lake
from mmer_ray.lake.table_log import APPLICATION
from mmer_ray.tables import SCHEMAS, SORT_KEYS
from tests.lake.drill import forget_until
from tests.lake.makers import audio_file, contents, job, listing
from tests.lake.test_writer import six_files
from tests.slow import slow_but

PLACE = {"corpus": "calls", "month": "2026-11"}


@pytest.fixture(scope="module")
def drill() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["deltalake", "tests.lake.drill"])
    return context


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Recordings of the corpora `calls` and `other`, each in a commit of its own."""
    job(Lake(tmp_path / "lake"), listing(six_files(tmp_path / "audio")))
    for name in ("v.wav", "w.wav"):
        audio_file(tmp_path / "more", name)
    job(Lake(tmp_path / "lake"), listing(tmp_path / "more", "other"))
    return Lake(tmp_path / "lake")


def stored(lake: Lake, name: str, corpus: str | None = None) -> pa.Table:
    """A table's rows as they lie in its files, one file after the other."""
    files = [file.path for file in lake.files(name) if corpus in (None, file.corpus)]
    return pa.concat_tables([pq.read_table(path, partitioning=None) for path in files])


def in_order(lake: Lake, name: str) -> pa.Table:
    keys: list[Any] = [(key, "ascending") for key in SORT_KEYS[name]]
    return stored(lake, name, "calls").sort_by(keys)


def batches(rows: pa.Table) -> Iterator[pa.RecordBatch]:
    yield from rows.to_batches(max_chunksize=2)


def first_row(rows: pa.Table) -> tuple[Any, ...]:
    """What the first row of a file of words is sorted by."""
    return tuple(rows[key][0].as_py() for key in SORT_KEYS["words"])


def log_entries(lake: Lake, name: str) -> set[str]:
    return {path.name for path in Path(lake.address, name, "_delta_log").glob("*.json")}


@pytest.mark.slow
def test_rows_lie_in_their_order_over_row_groups_and_files(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = in_order(lake, "words")
    monkeypatch.setattr(data_files, "ROW_GROUP_ROWS", 7)
    monkeypatch.setattr(data_files, "FILE_BYTES", 1_000)
    assert replace_rows(lake, "words", batches(rows), "run", PLACE) == rows.num_rows
    files = [file for file in lake.files("words") if file.corpus == "calls"]
    assert len(files) > 1
    written = sorted((pq.read_table(file.path, partitioning=None) for file in files), key=first_row)
    assert pa.concat_tables(written).equals(rows)
    groups = [pq.ParquetFile(file.path).metadata for file in files]
    assert max(one.row_group(at).num_rows for one in groups for at in range(one.num_row_groups)) == 7


@pytest.mark.slow
def test_a_row_group_of_large_values_has_fewer_rows(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_files, "ROW_GROUP_BYTES", 1)
    rows = in_order(lake, "pieces")
    replace_rows(lake, "pieces", batches(rows), "run", PLACE)
    assert stored(lake, "pieces", "calls").equals(rows)
    (file,) = [file for file in lake.files("pieces") if file.corpus == "calls"]
    assert pq.ParquetFile(file.path).metadata.num_row_groups > 1


@pytest.mark.slow
def test_the_rows_of_other_partitions_stay_in_their_files(lake: Lake) -> None:
    before = {file.path: Path(file.path).read_bytes() for file in lake.files("utterances") if file.corpus == "other"}
    replace_rows(lake, "utterances", batches(in_order(lake, "utterances")), "run", PLACE)
    after = {file.path: Path(file.path).read_bytes() for file in lake.files("utterances") if file.corpus == "other"}
    assert len(before) > 1
    assert after == before


@pytest.mark.slow
def test_the_log_says_of_a_file_what_it_said_before_and_nothing_personal(lake: Lake) -> None:
    before = [file for file in lake.files("utterances") if file.corpus == "calls"]
    replace_rows(lake, "utterances", batches(in_order(lake, "utterances")), "run", PLACE)
    (file,) = [file for file in lake.files("utterances") if file.corpus == "calls"]
    assert file.first_commit == min(one.first_commit or "" for one in before)
    assert file.last_commit == max(one.last_commit or "" for one in before)
    assert file.num_rows == sum(one.num_rows or 0 for one in before)
    assert file.num_bytes == Path(file.path).stat().st_size
    log = "".join(path.read_text() for path in Path(lake.address).rglob("_delta_log/*.json"))
    assert "refund" not in log


@pytest.mark.slow
def test_one_recording_is_found_without_reading_every_row_group(lake: Lake) -> None:
    replace_rows(lake, "utterances", batches(in_order(lake, "utterances")), "run", PLACE)
    (file,) = [file for file in lake.files("utterances") if file.corpus == "calls"]
    asked = "SELECT count(*) FROM parquet_bloom_probe($path, 'recording_id', $name) WHERE bloom_filter_excludes"
    known = stored(lake, "utterances", "calls")["recording_id"][0].as_py()
    with duckdb.connect() as connection:
        for name, excluded in ((known, 0), ("0" * 32, 1)):
            assert connection.execute(asked, {"path": file.path, "name": name}).fetchall() == [(excluded,)]


def test_a_wrong_number_of_rows_changes_nothing_and_leaves_no_file(lake: Lake) -> None:
    before = sorted(Path(lake.address, "words").rglob("*"))
    rows = in_order(lake, "words")
    with pytest.raises(LakeError, match="nothing was changed"):
        replace_rows(lake, "words", batches(rows), "run", PLACE, rows.num_rows + 1)
    assert [path for path in sorted(Path(lake.address, "words").rglob("*")) if path.suffix == ".parquet"] == [
        path for path in before if path.suffix == ".parquet"
    ]
    assert stored(lake, "words", "calls").num_rows == rows.num_rows


def test_a_write_that_fails_half_way_leaves_no_file(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_files, "ROW_GROUP_ROWS", 2)
    monkeypatch.setattr(data_files, "FILE_BYTES", 1)
    before = set(Path(lake.address, "words").rglob("*.parquet"))

    def full_disk() -> Iterator[pa.RecordBatch]:
        yield from in_order(lake, "words").to_batches(max_chunksize=2)
        raise OSError("No space left on device")

    with pytest.raises(StoreError, match="No space left"):
        replace_rows(lake, "words", full_disk(), "run", PLACE)
    assert set(Path(lake.address, "words").rglob("*.parquet")) == before


@pytest.mark.slow
def test_rows_of_another_partition_and_columns_that_would_be_lost_are_refused(lake: Lake) -> None:
    rows = in_order(lake, "utterances")
    wrong_place = rows.append_column("corpus", pa.repeat("other", rows.num_rows))
    more = rows.append_column("mood", pa.repeat("fine", rows.num_rows))
    for wrong in (wrong_place, more):
        with pytest.raises(AssertionError, match="would be lost"):
            replace_rows(lake, "utterances", batches(wrong), "run", PLACE)
    with pytest.raises(KeyError):
        replace_rows(lake, "utterances", batches(rows.drop_columns(["text"])), "run", PLACE)


@pytest.mark.slow
def test_a_partition_without_rows_is_gone_and_a_table_without_partitions_is_replaced_whole(lake: Lake) -> None:
    nothing = SCHEMAS["turns"].empty_table()
    assert replace_rows(lake, "turns", batches(nothing), "run", PLACE) == 0
    assert {file.corpus for file in lake.files("turns")} == {"other"}
    runs = stored(lake, "runs")
    assert replace_rows(lake, "runs", batches(runs), "run", {}) == runs.num_rows
    assert len(lake.files("runs")) == 1
    assert stored(lake, "runs").num_rows == runs.num_rows


@pytest.mark.slow
def test_numbers_of_commits_go_on_after_earlier_versions_are_forgotten(lake: Lake) -> None:
    sequence = lake.next_sequence()
    for name in ("utterances", "commits"):
        if name == "utterances":
            replace_rows(lake, name, batches(in_order(lake, name)), "run", PLACE)
        forget_earlier(lake, name)
        again = Lake(lake.address)
        assert again.newest(name).transaction_version(APPLICATION) == lake.newest(name).transaction_version(APPLICATION)
    assert Lake(lake.address).next_sequence() == sequence
    assert len(log_entries(lake, "utterances")) == 1


@pytest.mark.slow
def test_a_file_of_the_last_hours_stays_and_an_older_one_goes(lake: Lake) -> None:
    before = {file.path for file in lake.files("utterances") if file.corpus == "calls"}
    replace_rows(lake, "utterances", batches(in_order(lake, "utterances")), "run", PLACE)
    assert sweep(lake, "utterances", 1) == []
    assert len(sweep(lake, "utterances", 0, dry_run=True)) == len(before)
    assert all(Path(path).exists() for path in before)
    assert len(sweep(lake, "utterances", 0)) == len(before)
    assert not any(Path(path).exists() for path in before)


@pytest.mark.slow
def test_what_another_writer_adds_meanwhile_is_kept(lake: Lake) -> None:
    """As on a store whose lock was lost: only files that were there at the beginning are replaced."""
    rows = in_order(lake, "words")
    other = Lake(lake.address)
    sequence = other.next_sequence()

    def slowly() -> Iterator[pa.RecordBatch]:
        late = dict.fromkeys(SCHEMAS["words"].names) | PLACE | {"recording_id": "late", "commit_id": "late"}
        other.append("words", pa.Table.from_pylist([late], schema=SCHEMAS["words"]), sequence, "other")
        yield from batches(rows)

    with contextlib.suppress(StoreError):
        replace_rows(lake, "words", slowly(), "run", PLACE)
    found = stored(Lake(lake.address), "words", "calls")
    assert found.num_rows == rows.num_rows + 1
    assert "late" in found["recording_id"].to_pylist()


@pytest.mark.parametrize(
    "point", slow_but(["after_sweep_utterances", "after_checkpoint_utterances"], ["after_checkpoint_utterances"])
)
def test_a_kill_while_earlier_versions_are_forgotten_leaves_the_lake_whole(
    point: str, lake: Lake, drill: multiprocessing.context.ForkServerContext
) -> None:
    replace_rows(lake, "utterances", batches(in_order(lake, "utterances")), "run", PLACE)
    before = contents(lake.address)
    victim = drill.Process(target=forget_until, args=(point, lake.address))
    victim.start()
    victim.join()
    assert victim.exitcode == EXIT_STATUS
    assert contents(lake.address) == before
    forget_earlier(Lake(lake.address), "utterances")
    assert contents(lake.address) == before
    assert len(log_entries(lake, "utterances")) == 1
