"""Small files joined: of each partition of each table one sorted file, and the tables that dashboards read rebuilt.

A commit adds a file to every table, a table with partitions one for each that it touches; a year of nights leaves ten
thousand. Here the rows of finished commits, all of them, also those that later ones took the place of, are sorted into
one file; those of unfinished commits go. Each partition is one transaction, after which readers find the same rows, so
a kill at any moment leaves the lake whole, and the next compaction goes on. The earlier files stay for who reads them
(`lake/vacuum.py`).
"""

# The statements are put together from constants and from the paths in the commit log.
# ruff: noqa: S608

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mmer_ray.lake.data_files import FILE_BYTES
from mmer_ray.lake.rewrite import replace_rows
from mmer_ray.lake.run import new_run_id
from mmer_ray.lake.serving_build import build_serving, stale_partitions
from mmer_ray.lake.store import Lake
from mmer_ray.lake.table_log import DataFile
from mmer_ray.lake.table_rows import with_commits
from mmer_ray.lake.views import Spill, connect_internal, connect_to_build, reading_rows
from mmer_ray.lake.visibility import quoted
from mmer_ray.tables import DERIVED_TABLES, SCHEMAS, SORT_KEYS

if TYPE_CHECKING:
    import duckdb

MEMORY_MB = 1_000
"""DuckDB's share; what does not fit goes to a temporary folder."""
READ_OPTIONS = "union_by_name = true, hive_partitioning = false"
BATCH_ROWS = 4_096
BATCH_ROWS_OF_PIECES = 256
"""A row of `pieces` may have hundreds of kilobytes."""


@dataclass(frozen=True, slots=True)
class Part:
    """The files of one partition of a table; corpus and month are None in a table without partitions."""

    table: str
    corpus: str | None
    month: str | None
    files: tuple[DataFile, ...]
    num_torn: int
    """Files of unfinished commits alone."""

    @property
    def num_small(self) -> int:
        """Files that another one could still be joined to."""
        return sum(file.num_bytes < FILE_BYTES // 2 for file in self.files)

    def is_due(self, max_files: int) -> bool:
        """Whether it has more small files than this, or one of an unfinished commit."""
        return self.num_small > max_files or self.num_torn > 0

    @property
    def partition(self) -> dict[str, str]:
        return {} if self.corpus is None or self.month is None else {"corpus": self.corpus, "month": self.month}


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction has done, or would do."""

    parts: tuple[Part, ...]
    """Partitions whose files were joined."""
    rebuilt: tuple[tuple[str, str], ...]
    """Corpus and month of what was built anew for dashboards."""

    @property
    def num_files(self) -> int:
        """Files that were joined."""
        return sum(len(part.files) for part in self.parts)


def compact(lake: Lake, corpus: str | None = None, *, max_files: int = 1, dry_run: bool = False) -> Compacted:
    """Join the files of each partition that has more small ones than `max_files`, and rebuild the derived tables.

    With `corpus` its partitions alone. Raises `LakeError` where there is no lake, or a damaged one, or another job
    writes it, and `StoreError`.
    """
    lake.require_existing()
    with lake.lock(), TemporaryDirectory(prefix="mmer-compact-") as folder:
        spill, run_id = Spill(folder, MEMORY_MB), new_run_id(datetime.now(UTC))
        if not dry_run:
            lake.create()
        parts = _joined(lake, run_id, spill, corpus, max_files, dry_run)
        with connect_to_build(lake, spill) as connection, reading_rows(lake.address):
            stale = stale_partitions(connection, corpus)
            if not dry_run:
                build_serving(lake, connection, run_id, stale)
    return Compacted(parts, stale)


def compact_if_due(lake: Lake, max_files: int) -> Compacted | None:
    """Compact a lake in which some partition has more small files than `max_files`; None where none has."""
    if not any(part.num_small > max_files for part in _listed(lake, SCHEMAS)):
        return None
    return compact(lake)


def drop_torn(lake: Lake, *, dry_run: bool = False) -> tuple[Part, ...]:
    """Rewrite the partitions that hold rows of unfinished commits, without these. The caller holds the lake's lock.

    Raises as `compact`.
    """
    with TemporaryDirectory(prefix="mmer-compact-") as folder:
        run_id = new_run_id(datetime.now(UTC))
        return _joined(lake, run_id, Spill(folder, MEMORY_MB), None, None, dry_run)


def _joined(
    lake: Lake, run_id: str, spill: Spill, corpus: str | None, max_files: int | None, dry_run: bool
) -> tuple[Part, ...]:
    """Join the files of what is due: where `max_files` is None, of partitions with rows of unfinished commits."""
    with connect_internal(lake, spill) as connection, reading_rows(lake.address):
        found = connection.execute("SELECT commit_id FROM commits").fetchall()
        commit_ids = {commit_id for (commit_id,) in found}
        due = [
            part
            for part in _parts(lake, connection, commit_ids)
            if corpus in (None, part.corpus) and (part.num_torn if max_files is None else part.is_due(max_files))
        ]
        if not dry_run:
            for part in due:
                _join(lake, connection, part, run_id)
    return tuple(due)


def _parts(lake: Lake, connection: duckdb.DuckDBPyConnection, commit_ids: set[str]) -> list[Part]:
    parts = []
    for part in _listed(lake, [name for name in SCHEMAS if name not in DERIVED_TABLES]):
        has_commits = "commit_id" in SCHEMAS[part.table].names and part.table != "commits"
        files = with_commits(connection, part.files) if has_commits else part.files
        torn = [one for one in files if has_commits and _is_torn(one, commit_ids)]
        parts.append(Part(part.table, part.corpus, part.month, tuple(files), len(torn)))
    return parts


def _listed(lake: Lake, names: Sequence[str] | dict[str, pa.Schema]) -> list[Part]:
    parts = []
    for name in names:
        by_place: defaultdict[tuple[str | None, str | None], list[DataFile]] = defaultdict(list)
        for file in lake.files(name):
            by_place[file.corpus, file.month].append(file)
        parts += [Part(name, *place, tuple(files), 0) for place, files in by_place.items()]
    return parts


def _is_torn(file: DataFile, commit_ids: set[str]) -> bool:
    commit_id = file.first_commit
    return commit_id is not None and commit_id == file.last_commit and commit_id not in commit_ids


def _join(lake: Lake, connection: duckdb.DuckDBPyConnection, part: Part, run_id: str) -> None:
    """Sort a partition's rows of finished commits into a file of their own, in one transaction."""
    schema = lake.schema(part.table)
    source = f"read_parquet([{', '.join(quoted(file.path) for file in part.files)}], {READ_OPTIONS})"
    rows = f"{source} AS part"
    if "commit_id" in SCHEMAS[part.table].names and part.table != "commits":
        rows += " SEMI JOIN commits USING (commit_id)"
    ((num_rows,),) = connection.execute(f"SELECT count(*) FROM {rows}").fetchall()
    order = ", ".join(SORT_KEYS[part.table])
    batch_rows = BATCH_ROWS_OF_PIECES if part.table == "pieces" else BATCH_ROWS
    sorted_rows = connection.sql(f"SELECT part.* FROM {rows} ORDER BY {order}").to_arrow_reader(batch_rows)
    lacking = [field for field in schema if field.name not in {*sorted_rows.schema.names, *part.partition}]
    replace_rows(lake, part.table, _with_nulls(sorted_rows, lacking), run_id, part.partition, num_rows)


def _with_nulls(rows: pa.RecordBatchReader, lacking: Sequence[pa.Field[Any]]) -> Iterator[pa.RecordBatch]:
    """Batches with the columns that the table has got since these files were written."""
    for batch in rows:
        columns = {name: batch.column(name) for name in batch.schema.names}
        columns |= {field.name: pa.nulls(batch.num_rows, field.type) for field in lacking}
        yield pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
