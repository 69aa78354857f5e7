"""Rewriting a table: rows leave or files are joined, in one transaction; and forgetting its earlier versions.

Beside `store.py` the only file that changes tables through deltalake. Its callers hold the lake's lock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa

from mmer_ray.errors import LakeError
from mmer_ray.failpoint import failpoint
from mmer_ray.lake.data_files import WrittenFile, remove_files, write_files
from mmer_ray.lake.files import open_files
from mmer_ray.lake.store import Lake
from mmer_ray.lake.store_errors import writing
from mmer_ray.lake.table_log import logged_files, property_of, schema_of
from mmer_ray.tables import partition_columns

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable
    from deltalake.transaction import AddAction, RemoveAction

FORGOTTEN_PROPERTY = "mmer_ray.forgottenBefore"
"""When the earlier versions of a table were last removed."""


def replace_rows(
    lake: Lake,
    name: str,
    rows: pa.RecordBatchReader | Iterator[pa.RecordBatch],
    run_id: str,
    partition: Mapping[str, str],
    num_rows: int | None = None,
) -> int:
    """Put these rows in the place of all rows of a partition, `{}` in a table without partitions, in one transaction;
    returns how many they are.

    Rows are streamed and lie in the files in their order; each must belong to the partition and have all columns of the
    table. Where `num_rows` is given and other than what came, nothing is changed. The earlier files stay until `sweep`
    or `forget_earlier`. Raises `StoreError`, and `LakeError` for a wrong number.
    """
    failpoint(f"before_rewrite_{name}")
    table = lake.newest(name)
    schema = schema_of(table)
    with writing(lake.address):
        gone = _files_of(table, partition)
        written = write_files(lake.address, name, iter(rows), schema, partition)
    num_written = sum(file.num_rows for file in written)
    if num_rows not in (None, num_written):
        remove_files(lake.address, name, [file.path for file in written])
        raise LakeError(f"{lake.address}: {num_written} rows of {name} came where {num_rows} lie; nothing was changed")
    failpoint(f"after_files_{name}")
    if gone or written:
        # Looked at again: writing takes long enough for a lease to be lost.
        lake.require_writer()
        with writing(lake.address):
            _commit(table, name, gone, [_added(file, partition) for file in written], lake.commit_properties(run_id))
        failpoint(f"after_rewrite_{name}")
        lake.record_checksums(name)
    return num_written


def sweep(lake: Lake, name: str, keep_hours: int, *, dry_run: bool = False) -> list[str]:
    """Delete the data files that no version of the last hours needs, those of torn writes among them; returns their
    paths below the table's folder. Raises `StoreError`."""
    table = lake.newest(name)
    with writing(lake.address):
        wanted: dict[str, Any] = {
            "retention_hours": keep_hours,
            "enforce_retention_duration": False,
            "full": True,
        }
        gone = [str(path) for path in table.vacuum(dry_run=True, **wanted)]
        if gone and not dry_run:
            table.vacuum(dry_run=False, **wanted)
            failpoint(f"after_sweep_{name}")
            lake.checksums.renew(name, table.version(), logged_files(lake, name))
    return gone


def forget_earlier(lake: Lake, name: str) -> int:
    """Delete the files that no row of the newest version lies in, those of torn writes among them, and the log of
    earlier versions, whose statistics name rows that are gone; returns how many data files went.

    Who reads an earlier version meanwhile finds its files gone. Raises `StoreError`.
    """
    gone = sweep(lake, name, 0)
    with writing(lake.address):
        table = lake.newest(name)
        # A version of its own for the checkpoint: the one that removed rows then goes with the others.
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        table.alter.set_table_properties({FORGOTTEN_PROPERTY: now}, raise_if_not_exists=False)
        table.create_checkpoint()
        failpoint(f"after_checkpoint_{name}")
        _remove_log(lake, name, table)
        lake.checksums.renew(name, table.version(), logged_files(lake, name))
    return len(gone)


def has_forgotten(lake: Lake, name: str) -> bool:
    """Say whether earlier versions of a table were ever removed, and rows with them, maybe. Raises `LakeError`."""
    return property_of(lake, name, FORGOTTEN_PROPERTY) is not None


def _files_of(table: DeltaTable, partition: Mapping[str, str]) -> list[RemoveAction]:
    """The removal of every file that a partition has now. Those that another writer adds meanwhile stay."""
    from deltalake.transaction import RemoveAction

    actions = pa.RecordBatchReader.from_stream(table.get_add_actions(flatten=True)).read_all().to_pylist()
    now_ms = time.time_ns() // 1_000_000
    return [
        # The library takes paths as they are on disk, and gives them percent-encoded.
        RemoveAction(unquote(file["path"]), True, now_ms, file["size_bytes"], dict(partition))
        for file in actions
        if all(file[f"partition.{column}"] == value for column, value in partition.items())
    ]


def _added(file: WrittenFile, partition: Mapping[str, str]) -> AddAction:
    from deltalake.transaction import AddAction

    return AddAction(file.path, file.num_bytes, dict(partition), file.written_ms, True, file.statistics)


def _commit(
    table: DeltaTable, name: str, gone: list[RemoveAction], added: list[AddAction], properties: CommitProperties
) -> None:
    actions: list[Any] = [*gone, *added]
    table.create_write_transaction(
        actions,
        mode="append",
        schema=table.schema(),
        partition_by=partition_columns(name),
        commit_properties=properties,
    )
    # The transaction leaves the object at the version before.
    table.update_incremental()


def _remove_log(lake: Lake, name: str, table: DeltaTable) -> None:
    """Delete the entries and checkpoints before the newest version's; its checkpoint holds what they said."""
    files, folder = open_files(f"{lake.address}/{name}/_delta_log")
    for path in files.ls(folder, detail=False):
        version = PurePosixPath(path).name.partition(".")[0]
        if version.isdigit() and int(version) < table.version():
            lake.require_writer()
            files.rm_file(path)
