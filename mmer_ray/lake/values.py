"""A query's answer as Python values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from mmer_ray.tables import Row

_EPOCH = datetime(1970, 1, 1)
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
_UNFIT = (ArithmeticError, NotImplementedError, TypeError, ValueError)
"""What pyarrow raises for a value that Python cannot hold."""


def rows_of(connection: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, Any]) -> list[Row]:
    """The rows of a query: of this project's making, with what a user typed in `parameters` alone."""
    table = connection.cursor().sql(query, params=dict(parameters)).to_arrow_table()
    columns = [values_of(column) for column in table.columns]
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def values_of(column: pa.ChunkedArray[Any]) -> list[Any]:
    """Return the column's values, instants in UTC.

    A column with a value that Python cannot hold, such as `infinity`, comes as the texts that DuckDB has for it.
    """
    try:
        if pa.types.is_timestamp(column.type):
            return _moments(column)
        return column.to_pylist(maps_as_pydicts="lossy")
    except _UNFIT:
        return _texts(column)


def _moments(column: pa.ChunkedArray[Any]) -> list[datetime | None]:
    # Whatever zone an instant is to be shown in, it is kept in UTC, and that is how it is returned.
    # pyarrow's own conversion would import pandas where it is installed: three seconds.
    epoch = _EPOCH if column.type.tz is None else _EPOCH_UTC
    microseconds = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64()).to_pylist()
    return [None if us is None else epoch + timedelta(microseconds=us) for us in microseconds]


def _texts(column: pa.ChunkedArray[Any]) -> list[str | None]:
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        relation = connection.from_arrow(pa.table([column], names=["value"]))
        return [row[0] for row in relation.project("CAST(value AS VARCHAR)").fetchall()]
