"""`mmer query`: SQL over the lake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from mmer_ray.cli.last_lake import lake_to_read
from mmer_ray.cli.options import LakeToRead
from mmer_ray.cli.output import note, print_csv, print_json, print_table

MAX_TABLE_ROWS = 200
"""More than that nobody reads on a screen; the other formats print every row."""


class RowFormat(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


Sql = Annotated[
    str,
    typer.Argument(
        metavar="SQL",
        help="One SELECT over recordings, utterances, turns, words, emotions, active_emotions, calls, runs, commits.",
    ),
]
Format = Annotated[
    RowFormat,
    typer.Option("--format", "-f", help="In csv, text that a spreadsheet would run as a formula gets a leading '."),
]


MaxRows = Annotated[int, typer.Option(min=1, help="Refuse an answer with more rows.")]
Timeout = Annotated[float, typer.Option(min=0.001, help="Stop the query after so many seconds.")]
Memory = Annotated[int, typer.Option(min=50, help="Stop the query where it needs more memory (MB).")]
ReadOnly = Annotated[bool, typer.Option("--readonly", help="Write nothing: there is no other way to query.")]


def query(
    sql: Sql,
    lake: LakeToRead = None,
    fmt: Format = RowFormat.TABLE,
    max_rows: MaxRows = 1_000_000,
    timeout_s: Timeout = 300.0,
    memory_mb: Memory = 2_000,
    readonly: ReadOnly = True,
) -> None:
    """Answer a DuckDB query over the lake's tables. Reads only."""
    from mmer_ray.lake.limits import QueryLimits
    from mmer_ray.lake.queries import open_lake
    from mmer_ray.lake.values import values_of

    assert readonly, "a flag that can only be set"
    with open_lake(lake_to_read(lake), limits=QueryLimits(max_rows, timeout_s, memory_mb)) as reader:
        answer = reader.sql(sql)
    columns = list(_distinct(answer.column_names))
    values = [values_of(column) for column in answer.columns]
    rows: list[Sequence[Any]] = list(zip(*values, strict=True))
    match fmt:
        case RowFormat.CSV:
            print_csv(columns, rows)
        case RowFormat.JSON:
            document = {"columns": columns, "rows": [dict(zip(columns, row, strict=True)) for row in rows]}
            print_json({"schema": "mmer.query/1", **document})
        case RowFormat.TABLE:
            print_table(columns, rows[:MAX_TABLE_ROWS])
            if len(rows) > MAX_TABLE_ROWS:
                note(f"the first {MAX_TABLE_ROWS} of {len(rows):,} rows; --format csv or json prints all")


def _distinct(names: Sequence[str]) -> Iterator[str]:
    """Names of columns with those that come again numbered: a JSON row needs different ones."""
    seen: set[str] = set()
    for name in names:
        unique, number = name, 2
        while unique in seen:
            unique, number = f"{name}_{number}", number + 1
        seen.add(unique)
        yield unique
