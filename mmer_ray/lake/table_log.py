"""What the log of a table says: its data files, its columns and its properties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa

from mmer_ray.lake.store_errors import damaged, reading
from mmer_ray.tables import SCHEMAS

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from mmer_ray.lake.store import Lake

APPLICATION = "mmer_ray"
"""Application id of every append; its version is the number of the commit that the append belongs to."""
FENCING = "mmer_ray.fencing"
"""Application id whose version is the fencing number of the lease under which a table was changed last, and the
property that says so where there is nothing to append."""
VERSION_PROPERTY = "mmer_ray.schemaVersion"
"""The property of each table that says which version of its schema it was last written with."""
RUN_IN_LOG, SEQUENCE_IN_LOG = "mmer_run", "mmer_sequence"
"""What the log says of each append: who wrote it, as part of which commit."""
LOG_DEPTH = 50
"""Entries of a table's log that are searched for the writer of a sequence number."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """One Parquet file of a table, as the table's log describes it."""

    path: str
    first_commit: str | None
    """Least and greatest commit_id of its rows, equal unless it holds several commits; None where the log does not
    say, as in lakes of version 1. In a derived table, which has none: of build_id."""
    last_commit: str | None
    corpus: str | None = None
    """Corpus and month of its rows; None in a table without partitions."""
    month: str | None = None
    num_bytes: int = 0
    num_rows: int | None = None
    """None where the log does not say."""


def additions(table: DeltaTable, place: str) -> pa.Table:
    """What the log says of each data file of the newest version, a row per file. Raises `LakeError`, naming `place`."""
    with reading(place):
        return pa.RecordBatchReader.from_stream(table.get_add_actions(flatten=True)).read_all()


def paths_of(actions: pa.Table) -> list[str]:
    """Paths below the table's folder: file_uris() percent-encodes the folder's own name, which is then no path."""
    return [unquote(str(path)) for path in actions.column("path").to_pylist()]


def data_files(table: DeltaTable, place: str) -> list[DataFile]:
    """The data files of the newest version, those that are gone among them; `place` is the table's folder.

    Raises `LakeError` for a damaged log.
    """
    actions = additions(table, place)
    paths = [f"{place}/{path}" for path in paths_of(actions)]
    wanted = ("partition.corpus", "partition.month", "size_bytes", "num_records")
    columns = [_extremes(actions, "min"), _extremes(actions, "max"), *(_column(actions, one) for one in wanted)]
    return [DataFile(*facts) for facts in zip(paths, *columns, strict=True)]


def _extremes(actions: pa.Table, end: str) -> list[str | None]:
    name = f"{end}.commit_id"
    return _column(actions, name if name in actions.column_names else f"{end}.build_id")


def _column(actions: pa.Table, name: str) -> list[Any]:
    """A column of the log's description of files; nulls where it has none."""
    if name not in actions.column_names:
        return [None] * int(actions.num_rows)
    values: list[Any] = actions.column(name).to_pylist()
    return values


def logged_files(lake: Lake, name: str) -> dict[str, int]:
    """Path below the table's folder -> bytes, of the data files of the newest version, whether they are there or not.

    Raises `LakeError` where table or log is damaged or gone.
    """
    table = lake.opened(name)
    if table is None:
        return {}
    actions = additions(table, f"{lake.address}/{name}")
    sizes: list[int] = actions.column("size_bytes").to_pylist()  # type: ignore[assignment]
    return dict(zip(paths_of(actions), sizes, strict=True))


def schema_of(table: DeltaTable) -> pa.Schema:
    """The columns of a table as it is stored."""
    columns: Any = table.schema().to_arrow()
    return pa.schema(columns)


def missing_columns(name: str, table: DeltaTable) -> list[pa.Field[pa.DataType]]:
    """Columns of today that a table does not have yet."""
    there = {field.name for field in table.schema().fields}
    return [field for field in SCHEMAS[name] if field.name not in there]


def property_of(lake: Lake, name: str, key: str) -> str | None:
    """A property of a table, None where it has none. Raises `LakeError` where the table is damaged or gone."""
    table = lake.opened(name)
    return None if table is None else table.metadata().configuration.get(key)


def version_of(table: DeltaTable) -> int:
    """The version of the schema that a table was last written with. Raises `LakeError` where that is no number."""
    stored = table.metadata().configuration.get(VERSION_PROPERTY) or "1"
    if not stored.isdecimal():
        raise damaged(table.table_uri, f"{VERSION_PROPERTY} is {stored!a}")
    return int(stored)


def writer_of(table: DeltaTable, sequence: int) -> str | None:
    """The run that appended as part of this commit; None where the log no longer says."""
    entries = (entry for entry in table.history(LOG_DEPTH) if entry.get(SEQUENCE_IN_LOG) == str(sequence))
    return next((entry.get(RUN_IN_LOG) for entry in entries), None)
