"""What was written reads back the same by deltalake, by DuckDB and by pyarrow, file by file: rows and types."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from mmer_ray.lake.file_checks import is_same_type
from mmer_ray.lake.rewrite import replace_rows
from mmer_ray.lake.store import Lake
from mmer_ray.lake.table_rows import sql_type
from mmer_ray.tables import SCHEMAS, partition_columns
from tests.lake.fillers import filled, filled_lake

NUM_ROWS = 40


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return filled_lake(str(tmp_path_factory.mktemp("filled") / "a lake"), NUM_ROWS)


@pytest.fixture(scope="module")
def rewritten(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The same lake after every partition of every table was written again."""
    lake = filled_lake(str(tmp_path_factory.mktemp("rewritten") / "lake"), NUM_ROWS)
    for name in SCHEMAS:
        rows = by_deltalake(lake, name)
        columns = partition_columns(name)
        places = rows.select(columns).group_by(columns).aggregate([]).to_pylist() if columns else [{}]
        for place in places:
            part = rows
            for column, value in place.items():
                part = part.filter(pc.equal(part.column(column), value))
            replace_rows(lake, name, part.to_reader(), "rewriter", place)
    return lake


def by_deltalake(lake: Lake, name: str) -> pa.Table:
    from deltalake import DeltaTable

    found: pa.Table = DeltaTable(Path(lake.address) / name).to_pyarrow_table()
    return found


def by_duckdb(lake: Lake, name: str) -> pa.Table:
    hive = ", ".join(f"{column}: VARCHAR" for column in partition_columns(name))
    options = f"hive_partitioning = true, hive_types = {{{hive}}}" if hive else "hive_partitioning = false"
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        paths = [file.path for file in lake.files(name)]
        query = f"SELECT {', '.join(SCHEMAS[name].names)} FROM read_parquet($paths, union_by_name = true, {options})"
        described = connection.execute(f"DESCRIBE {query}", {"paths": paths}).fetchall()
        assert [row[1] for row in described] == [sql_type(field.type) for field in SCHEMAS[name]]
        found: pa.Table = connection.execute(query, {"paths": paths}).to_arrow_table()
    return found


def by_pyarrow(lake: Lake, name: str) -> pa.Table:
    tables = []
    for file in lake.files(name):
        table = pq.ParquetFile(file.path).read()
        folders = dict(part.split("=", 1) for part in Path(file.path).parent.relative_to(lake.address).parts[1:])
        for column in partition_columns(name):
            value = unquote(folders[column])
            table = table.append_column(column, pa.repeat(pa.scalar(value), table.num_rows))
        tables.append(table)
    return pa.concat_tables(tables, promote_options="permissive")


Reader = Callable[[Lake, str], pa.Table]
READERS: tuple[Reader, ...] = (by_deltalake, by_duckdb, by_pyarrow)


def rows_of(table: pa.Table, name: str) -> list[str]:
    """The rows as text, in an order of their own."""
    rows: list[dict[str, Any]] = table.select(SCHEMAS[name].names).cast(SCHEMAS[name]).to_pylist()
    return sorted(repr(list(row.values())) for row in rows)


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("read", READERS)
def test_a_reader_finds_the_rows_and_the_types_that_were_written(read: Reader, name: str, lake: Lake) -> None:
    written = pa.concat_tables([filled(name, NUM_ROWS, seed) for seed in (1, 2)])
    found = read(lake, name)
    assert rows_of(found, name) == rows_of(written, name)
    for field in SCHEMAS[name]:
        assert is_same_type(found.schema.field(field.name).type, field.type), field.name


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("read", READERS)
def test_rows_that_were_written_again_are_the_same_to_every_reader(read: Reader, name: str, rewritten: Lake) -> None:
    written = pa.concat_tables([filled(name, NUM_ROWS, seed) for seed in (1, 2)])
    assert rows_of(read(rewritten, name), name) == rows_of(written, name)


def test_every_column_has_values_and_nulls() -> None:
    """Otherwise the tests above would show less than they say."""
    for name, schema in SCHEMAS.items():
        rows = filled(name, NUM_ROWS, 1)
        for field in schema:
            column = rows.column(field.name)
            assert column.null_count < NUM_ROWS, field.name
            assert column.null_count > 0 or field.name in partition_columns(name), field.name
