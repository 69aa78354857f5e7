"""Rows as files: CSV that a spreadsheet does not run, and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from enum import StrEnum
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Text that begins so is run by spreadsheets, the last four (full-width signs) by those set up for East Asian languages
(OWASP, "CSV Injection"); an apostrophe before it says that it is text."""
ROWS_AT_A_TIME = 20_000
BYTES_AT_A_TIME = 1 << 20


class Format(StrEnum):
    """A kind of file."""

    CSV = "csv"
    PARQUET = "parquet"

    @property
    def media_type(self) -> str:
        """As in HTTP."""
        return "text/csv; charset=utf-8" if self is Format.CSV else "application/vnd.apache.parquet"


def write_rows(form: Format, schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: IO[bytes]) -> None:
    """Write the rows into a file, of which one batch at a time is held."""
    if form is Format.CSV:
        write_csv(schema, batches, file)
    else:
        write_parquet(schema, batches, file)


def write_csv(schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: IO[bytes]) -> None:
    """RFC 4180 in UTF-8, with a header; nothing for null."""
    file.write(_lines([schema.names]))
    for batch in batches:
        for first in range(0, batch.num_rows, ROWS_AT_A_TIME):
            columns = [column.to_pylist() for column in batch.slice(first, ROWS_AT_A_TIME).columns]
            file.write(_lines([[cell(value) for value in row] for row in zip(*columns, strict=True)]))


def write_parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: IO[bytes]) -> None:
    """One Parquet file, zstd, with a row group for each batch."""
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    """All of a file, piece by piece; then it is closed."""
    with file:
        file.seek(0)
        while piece := file.read(BYTES_AT_A_TIME):
            yield piece


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
