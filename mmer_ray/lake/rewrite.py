"""Rewriting a table: rows leave or files are joined, in one transaction; and forgetting its earlier versions.

Beside `store.py` the only file that changes tables through deltalake. Its callers hold the lake's lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pyarrow as pa

from mmer_ray.lake.failpoint import failpoint
from mmer_ray.lake.files import open_files
from mmer_ray.lake.store import ROW_GROUP_ROWS, Lake
from mmer_ray.lake.store_errors import writing
from mmer_ray.lake.table_log import logged_files, property_of
from mmer_ray.lake.visibility import quoted

if TYPE_CHECKING:
    from deltalake import DeltaTable

FORGOTTEN_PROPERTY = "mmer_ray.forgottenBefore"
"""When the earlier versions of a table were last removed."""


def replace_rows(lake: Lake, name: str, rows: pa.RecordBatchReader, run_id: str, partition: Mapping[str, str]) -> None:
    """Put these rows in the place of all rows of a partition, `{}` in a table without partitions, in one transaction.

    Rows are streamed and lie in the files in their order; each must belong to the partition. The earlier files stay
    until `forget_earlier`. Raises `StoreError`.
    """
    from deltalake import WriterProperties, write_deltalake

    failpoint(f"before_rewrite_{name}")
    with writing(lake.address):
        write_deltalake(
            lake.newest(name),
            rows,
            mode="overwrite",
            predicate=" AND ".join(f"{column} = {quoted(value)}" for column, value in partition.items()) or None,
            writer_properties=WriterProperties(compression="ZSTD", max_row_group_size=ROW_GROUP_ROWS),
            commit_properties=lake.commit_properties(run_id),
        )
    failpoint(f"after_rewrite_{name}")
    lake.record_checksums(name)


def forget_earlier(lake: Lake, name: str) -> int:
    """Delete the files that no row of the newest version lies in, those of torn writes among them, and the log of
    earlier versions, whose statistics name rows that are gone; returns how many data files went.

    Who reads an earlier version meanwhile finds its files gone. Raises `StoreError`.
    """
    with writing(lake.address):
        table = lake.newest(name)
        gone = table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False, full=True)
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


def _remove_log(lake: Lake, name: str, table: DeltaTable) -> None:
    """Delete the entries and checkpoints before the newest version's; its checkpoint holds what they said."""
    files, folder = open_files(f"{lake.address}/{name}/_delta_log")
    for path in files.ls(folder, detail=False):
        version = PurePosixPath(path).name.partition(".")[0]
        if version.isdigit() and int(version) < table.version():
            lake.require_writer()
            files.rm_file(path)
