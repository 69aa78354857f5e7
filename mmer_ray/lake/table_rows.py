"""The rows of a lake's tables, read from their Parquet files: typed, whole, of finished commits alone."""

# The statements are put together from constants and from the paths in the commit log.
# ruff: noqa: S608

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from mmer_ray.lake.visibility import quoted
from mmer_ray.tables import SCHEMAS, V1_COLUMNS, partition_columns

if TYPE_CHECKING:
    from mmer_ray.lake.table_log import DataFile

AS_HEARD = ("results", "utterances", "turns")
"""Tables whose rows people change by editing speakers: `internal.<name>_as_heard` has the rows as they were written,
`internal.<name>` as they are to be read (`edited_speakers.py`)."""


@dataclass(frozen=True, slots=True)
class RowFile:
    """A data file and the columns of its table that it has; those of a partition are in its path."""

    file: DataFile
    columns: frozenset[str]


def columns_in(connection: duckdb.DuckDBPyConnection, files: Iterable[DataFile]) -> dict[str, frozenset[str]]:
    """Path -> the columns of a file by its footer, with those inside nested ones: none is called as a column of ours.
    Of all tables at once, since a question takes longer than an answer."""
    paths = [file.path for file in files]
    if not paths:
        return {}
    query = "SELECT file_name, list(name) FROM parquet_schema($paths) GROUP BY file_name"
    return {path: frozenset(names) for path, names in connection.execute(query, {"paths": paths}).fetchall()}


def row_files(
    name: str,
    files: Iterable[DataFile],
    columns: Mapping[str, frozenset[str]],
    more: Sequence[pa.Field[Any]] = (),
) -> list[RowFile]:
    """The files of the table `name`, which may have `more` columns, with those that each has by `columns_in`."""
    own = {field.name for field in (*_fields(name), *more)} - set(partition_columns(name))
    return [RowFile(file, columns[file.path] & own) for file in files]


def with_commits(connection: duckdb.DuckDBPyConnection, files: Iterable[DataFile]) -> list[DataFile]:
    """The same files; where the log does not name a file's commits, its own footer does."""
    known = list(files)
    unknown = [file.path for file in known if file.first_commit is None]
    if not unknown:
        return known
    footers = """
        SELECT file_name, min(stats_min_value), max(stats_max_value) FROM parquet_metadata($paths)
        WHERE path_in_schema = 'commit_id' GROUP BY file_name
    """
    found = {path: (first, last) for path, first, last in connection.execute(footers, {"paths": unknown}).fetchall()}
    return [
        replace(file, first_commit=found[file.path][0], last_commit=found[file.path][1]) if file.path in found else file
        for file in known
    ]


def committed(files: Iterable[DataFile], commit_ids: Collection[str]) -> list[DataFile]:
    """The files that hold a finished commit: a torn commit's files are never opened, so no query can reach them. Of a
    file with several commits the rows are told apart one by one."""
    return [file for file in files if file.first_commit != file.last_commit or file.first_commit in commit_ids]


def committed_view(name: str, files: Sequence[RowFile], schema: str = "internal", hidden: str | None = None) -> str:
    """The statement that makes `<schema>.<name>`, or what `AS_HEARD` says: a table's rows of finished commits, those
    of version 1 in the form of today. `hidden` is a condition on the rows, called `part`, that nobody sees any
    longer."""
    rows = rows_of(name, files)
    if hidden is not None:
        rows = f"SELECT * FROM ({rows}) AS part WHERE NOT {hidden}"
    source = f"({rows}) AS part SEMI JOIN commits USING (commit_id)"
    match name:
        case "runs":
            query = rows
        case "recordings":
            query = f"SELECT * REPLACE (coalesce(heard_key, result_commit_id) AS heard_key) FROM {source}"
        case "results":
            query = f"SELECT * FROM {source} UNION ALL BY NAME {_results_of_version_1(schema)}"
        case "calls":
            query = (
                "SELECT part.* REPLACE (coalesce(part.heard_key, commit_id) AS heard_key, "
                "coalesce(part.has_emotions, true) AS has_emotions, "
                "coalesce(part.scorer, commits.scorer, '') AS scorer) "
                f"FROM ({rows}) AS part JOIN commits USING (commit_id)"
            )
        case "active_scorers" | "corpus_facts" | "erasures":
            query = f"SELECT * FROM {source}"
        case _:
            query = f"SELECT * REPLACE (coalesce(heard_key, commit_id) AS heard_key) FROM {source}"
    return f"CREATE VIEW {schema}.{name}{'_as_heard' if name in AS_HEARD else ''} AS {query}"


def _results_of_version_1(schema: str) -> str:
    return f"""
        SELECT recording_id, corpus, month, day, result_commit_id AS heard_key, duration_ms, channels, sample_rate_hz,
            codec, container, list_filter(flags, lambda flag: flag <> 'mislabelled') AS flags, speech_ms,
            non_speech_ms, overlap_ms, num_speakers, language, language_p, run_id, commit_id
        FROM {schema}.recordings WHERE status = 'scored' AND result_commit_id = commit_id AND NOT is_copy
    """


def stored_view(name: str, files: Sequence[RowFile], stored: pa.Schema) -> str:
    """The statement that makes `stored.<name>`: a table's rows as they lie in these files, those of torn commits among
    them. It has the columns of `stored`, the table's own, and those that it lacks of `SCHEMAS`."""
    return f"CREATE VIEW stored.{name} AS {rows_of(name, files, unknown_fields(name, stored))}"


def unknown_fields(name: str, stored: pa.Schema) -> list[pa.Field[Any]]:
    """The columns of a table as it is stored that this version does not know."""
    known = {field.name for field in _fields(name)}
    return [field for field in stored if field.name not in known]


def rows_of(name: str, files: Sequence[RowFile], more: Sequence[pa.Field[Any]] = ()) -> str:
    """A table's rows in these files, typed and whole: columns that a file has not are null. `more`: further columns.

    Files with the same columns are read together, so that DuckDB opens one of them to know them all. It takes the
    others to have as many rows, so that one is the largest: by a small one millions of answers would count as few, and
    be held in memory for the table that they are joined to.
    """
    fields = [*_fields(name), *more]
    alike: defaultdict[frozenset[str], list[str]] = defaultdict(list)
    for one in sorted(files, key=lambda one: -one.file.num_bytes):
        alike[one.columns].append(one.file.path)
    if not alike:
        nothing = ", ".join(f"NULL::{sql_type(field.type)} AS {field.name}" for field in fields)
        return f"SELECT {nothing} WHERE false"
    return " UNION ALL ".join(_rows_alike(name, fields, columns, paths) for columns, paths in alike.items())


def _rows_alike(name: str, fields: Sequence[pa.Field[Any]], columns: frozenset[str], paths: Sequence[str]) -> str:
    partitions = partition_columns(name)
    types = ", ".join(f"{quoted(column)}: VARCHAR" for column in partitions)
    hive = f"hive_partitioning = true, hive_types = {{{types}}}" if partitions else "hive_partitioning = false"
    # A view takes no bound parameters, so the paths, which come from the commit log, stand in it as literals.
    listed = ", ".join(map(quoted, paths))
    selected = ", ".join(
        f"{field.name if field.name in columns.union(partitions) else 'NULL'}::{sql_type(field.type)} AS {field.name}"
        for field in fields
    )
    return f"SELECT {selected} FROM read_parquet([{listed}], {hive})"


def _fields(name: str) -> list[pa.Field[Any]]:
    return [*SCHEMAS[name], *V1_COLUMNS.get(name, ())]


def sql_type(data_type: pa.DataType) -> str:
    """DuckDB's name of a column's type.

    >>> sql_type(pa.map_(pa.string(), pa.float32()))
    'MAP(VARCHAR, FLOAT)'
    """
    if pa.types.is_map(data_type):
        return f"MAP({sql_type(data_type.key_type)}, {sql_type(data_type.item_type)})"
    if pa.types.is_list(data_type):
        return f"{sql_type(data_type.value_type)}[]"
    return _SQL_TYPES[data_type]


_SQL_TYPES = {
    pa.string(): "VARCHAR",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.binary(): "BLOB",
    pa.date32(): "DATE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP WITH TIME ZONE",
}
