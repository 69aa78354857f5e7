"""Rows as files: CSV that a spreadsheet does not run, and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Text that begins so is run by spreadsheets, the last four (full-width signs) by those set up for East Asian languages
(OWASP, "CSV Injection"); an apostrophe before it says that it is text."""
ROWS_AT_A_TIME = 20_000


class Format(StrEnum):
    """A kind of file."""

    CSV = "csv"
    PARQUET = "parquet"

    @property
    def media_type(self) -> str:
        """As in HTTP."""
        return "text/csv; charset=utf-8" if self is Format.CSV else "application/vnd.apache.parquet"


def as_file(table: pa.Table, form: Format) -> Iterator[bytes]:
    """The file, piece by piece."""
    return as_csv(table) if form is Format.CSV else as_parquet(table)


def as_csv(table: pa.Table) -> Iterator[bytes]:
    """RFC 4180 in UTF-8, with a header; nothing for null."""
    yield _lines([table.column_names])
    for batch in table.to_batches(max_chunksize=ROWS_AT_A_TIME):
        columns = [column.to_pylist() for column in batch.columns]
        yield _lines([[cell(value) for value in row] for row in zip(*columns, strict=True)])


def as_parquet(table: pa.Table) -> Iterator[bytes]:
    """One Parquet file, zstd."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    yield sink.getvalue()


def cell(value: Any) -> Any:
    """A value as a cell of CSV."""
    if value is None:
        return ""
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_STARTS) else value
    return value


def _lines(rows: list[list[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    # A lone surrogate cannot be written as UTF-8.
    return text.getvalue().encode("utf-8", "replace")
