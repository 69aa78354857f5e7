"""Rows written as Parquet files of a table, with what the table's log is to say of each.

The writer of deltalake deals batches out to as many tasks as there are cores, so that rows leave their order (1.6.6).
Files whose rows lie in order are written here, one row group after the other; memory holds one group.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mmer_ray.lake.files import open_files
from mmer_ray.lake.store import ROW_GROUP_ROWS
from mmer_ray.tables import LOG_STATISTICS

ROW_GROUP_BYTES = 128 << 20
"""In memory. A row group of large values, as `pieces` has them, has fewer rows."""
FILE_BYTES = 256 << 20
"""A longer partition goes on in another file."""

UNREPEATED = frozenset({"text", "word", "uri", "error_message", "options", "embeddings", "activity"})
"""Columns without a dictionary: their values seldom come twice."""
LOOKED_UP = "recording_id"
"""The column with a Bloom filter: who asks for one recording reads the row groups that may hold it."""
FALSE_POSITIVES = 0.01


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that no log names yet."""

    path: str
    """Below the table's folder."""
    num_bytes: int
    num_rows: int
    written_ms: int
    """Milliseconds since 1970."""
    statistics: str
    """Rows, and extremes and nulls of the columns of `LOG_STATISTICS`, as a Delta log has them: JSON."""


def write_files(
    address: str, name: str, rows: Iterator[pa.RecordBatch], schema: pa.Schema, partition: Mapping[str, str]
) -> list[WrittenFile]:
    """Write rows, in their order, into new files of the table `name` of the lake at `address`.

    `schema` is the table's; its columns of `partition` stand in the folder's name alone. Where it fails, as on a full
    disk, nothing is left. Raises OSError.
    """
    folder = "/".join(f"{column}={quote(value, safe='')}" for column, value in partition.items())
    stored = pa.schema([field for field in schema if field.name not in partition])
    groups = _row_groups(_as_stored(batch, stored, partition) for batch in rows)
    store, root = open_files(f"{address}/{name}")
    store.makedirs(f"{root}/{folder}", exist_ok=True)
    written: list[WrittenFile] = []
    begun: list[str] = []
    try:
        group = next(groups, None)
        while group is not None:
            begun.append(f"{folder}/part-{uuid.uuid4()}.parquet".lstrip("/"))
            summary = _Summary(name)
            with store.open(f"{root}/{begun[-1]}", "wb") as file, _writer(file, group) as writer:
                while group is not None:
                    writer.write_table(group, row_group_size=group.num_rows)
                    summary.add(group)
                    group = next(groups, None)
                    if file.tell() >= FILE_BYTES:
                        break
            now_ms = time.time_ns() // 1_000_000
            num_bytes = int(store.size(f"{root}/{begun[-1]}"))
            written.append(WrittenFile(begun[-1], num_bytes, summary.num_rows, now_ms, summary.as_json()))
    except BaseException:
        remove_files(address, name, begun)
        raise
    return written


def remove_files(address: str, name: str, paths: Iterable[str]) -> None:
    """Delete files that no log came to name, where they are there and the store lets us."""
    store, root = open_files(f"{address}/{name}")
    for path in paths:
        with suppress(OSError):
            store.rm_file(f"{root}/{path}")


def _writer(file: Any, group: pa.Table) -> pq.ParquetWriter:
    names = group.schema.names
    bloom = {}
    if LOOKED_UP in names:
        num_distinct = pc.count_distinct(group.column(LOOKED_UP)).as_py()
        bloom = {LOOKED_UP: {"ndv": max(num_distinct, 1), "fpp": FALSE_POSITIVES}}
    return pq.ParquetWriter(
        file,
        group.schema,
        compression="zstd",
        # A list of columns, which the stubs do not know.
        use_dictionary=[one for one in names if one not in UNREPEATED],  # type: ignore[arg-type]
        bloom_filter_options=bloom or None,
    )


def _row_groups(rows: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    kept: list[pa.RecordBatch] = []
    num_rows = num_bytes = 0
    for batch in rows:
        kept.append(batch)
        num_rows, num_bytes = num_rows + batch.num_rows, num_bytes + batch.nbytes
        while num_rows >= ROW_GROUP_ROWS or (num_rows and num_bytes >= ROW_GROUP_BYTES):
            table = pa.Table.from_batches(kept)
            group = table.slice(0, ROW_GROUP_ROWS)
            yield group
            rest = table.slice(group.num_rows)
            kept, num_rows, num_bytes = rest.to_batches(), rest.num_rows, rest.nbytes
    if num_rows:
        yield pa.Table.from_batches(kept)


def _as_stored(batch: pa.RecordBatch, schema: pa.Schema, partition: Mapping[str, str]) -> pa.RecordBatch:
    """The columns of the files, with their types. What they do not hold must be empty, or said by the folder's name."""
    for name in set(batch.schema.names) - set(schema.names):
        column = batch.column(name)
        is_said = name in partition and pc.all(pc.equal(column, pa.scalar(partition[name]))).as_py()
        assert is_said or column.null_count == len(column), f"column {name} would be lost"
    columns = [batch.column(field.name).cast(field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class _Summary:
    """What a Delta log says of one file."""

    def __init__(self, name: str) -> None:
        self.num_rows = 0
        self._columns = LOG_STATISTICS[name]
        self._least: dict[str, Any] = {}
        self._greatest: dict[str, Any] = {}
        self._nulls: dict[str, int] = {}

    def add(self, group: pa.Table) -> None:
        self.num_rows += group.num_rows
        for name in set(self._columns) & set(group.schema.names):
            column = group.column(name)
            self._nulls[name] = self._nulls.get(name, 0) + column.null_count
            ends: dict[str, Any] = pc.min_max(column).as_py()  # type: ignore[assignment]
            if ends["min"] is not None:
                self._least[name] = min(ends["min"], self._least.get(name, ends["min"]))
                self._greatest[name] = max(ends["max"], self._greatest.get(name, ends["max"]))

    def as_json(self) -> str:
        document = {
            "numRecords": self.num_rows,
            "minValues": self._least,
            "maxValues": self._greatest,
            "nullCount": self._nulls,
        }
        return json.dumps(document, default=date.isoformat)
