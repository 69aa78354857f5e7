"""Reading a manifest: a .csv, .jsonl or .parquet file with one recording per row.

The column `uri` is required, `recorded_at` (an ISO 8601 date or time, UTC unless it says otherwise) gives the day,
all other columns are kept as metadata.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mmer_ray.errors import SourceError

MANIFEST_EXTENSIONS = frozenset({"csv", "jsonl", "parquet"})


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One recording as the manifest names it."""

    number: int
    """The row's number, the first row of data being 1."""
    uri: str
    recorded_at: datetime | None
    metadata: Mapping[str, str]


def read_manifest(path: str) -> Iterator[ManifestRow]:
    """The rows of a manifest. Raises `SourceError`, naming file and row."""
    reader = {".csv": _csv_rows, ".jsonl": _jsonl_rows, ".parquet": _parquet_rows}[Path(path).suffix.lower()]
    try:
        for number, columns in enumerate(reader(path), start=1):
            yield _row(path, number, columns)
    except (UnicodeDecodeError, csv.Error) as exc:
        raise SourceError(f"manifest {path} is no UTF-8 {Path(path).suffix} file: {exc}") from exc
    except OSError as exc:
        raise SourceError(f"manifest {path} cannot be read: {exc.strerror or exc}") from exc


def utc_day(moment: datetime) -> str:
    """YYYY-MM-DD in UTC; a time without a zone is taken as UTC."""
    return (moment.astimezone(UTC) if moment.tzinfo else moment).date().isoformat()


def _row(path: str, number: int, columns: Mapping[str, Any]) -> ManifestRow:
    uri = columns.get("uri")
    if not isinstance(uri, str) or not uri.strip():
        raise SourceError(f"manifest {path} row {number}: the uri is empty")
    try:
        uri.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise SourceError(
            f"manifest {path} row {number}: the uri is not valid Unicode; write such names as file:// URLs"
        ) from exc
    recorded_at = _text(columns.get("recorded_at"))
    metadata = {
        str(name): text
        for name, value in columns.items()
        if name not in ("uri", "recorded_at") and (text := _text(value)) is not None
    }
    return ManifestRow(number, uri, _moment(path, number, recorded_at) if recorded_at else None, metadata)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str).strip('"')


def _moment(path: str, number: int, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as exc:
        raise SourceError(
            f"manifest {path} row {number}: recorded_at is {text!r}; write it as 2026-11-30 or 2026-11-30T14:05:00Z"
        ) from exc


def _require_uri_column(path: str, names: Iterable[str]) -> None:
    if "uri" not in (found := list(names)):
        raise SourceError(f"manifest {path} has no column 'uri' (it has: {', '.join(found) or 'none'})")


def _csv_rows(path: str) -> Iterator[Mapping[str, Any]]:
    # utf-8-sig: spreadsheets put a byte order mark in front.
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, restkey="(beyond the header)")
        _require_uri_column(path, rows.fieldnames or ())
        for number, row in enumerate(rows, start=1):
            if "(beyond the header)" in row:
                raise SourceError(f"manifest {path} row {number}: more fields than the header names; quote commas")
            yield row


def _jsonl_rows(path: str) -> Iterator[Mapping[str, Any]]:
    with Path(path).open(encoding="utf-8-sig") as file:
        lines = (line for line in file if line.strip())
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError as exc:
                raise SourceError(f"manifest {path} row {number}: not JSON: {exc}") from exc
            if not isinstance(row, dict):
                raise SourceError(f"manifest {path} row {number}: a row is a JSON object with a key 'uri'")
            if "uri" not in row:
                _require_uri_column(f"{path} row {number}", row)
            yield row


def _parquet_rows(path: str) -> Iterator[Mapping[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # The schema first: reading data of an extension type may run code that the file carries.
        schema = pq.read_schema(path)
        for column in schema:
            if _has_extension_type(column):
                raise SourceError(
                    f"manifest {path}: column {column.name!r} has an extension type, which can carry code; "
                    "write plain columns, or a .csv"
                )
        _require_uri_column(path, schema.names)
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()
    except pa.ArrowException as exc:
        raise SourceError(f"manifest {path} is no readable Parquet file: {str(exc)[:200]}") from exc


def _has_extension_type(column: Any) -> bool:
    import pyarrow as pa

    if isinstance(column.type, pa.BaseExtensionType) or b"ARROW:extension:name" in (column.metadata or {}):
        return True
    return any(_has_extension_type(column.type.field(i)) for i in range(column.type.num_fields))
