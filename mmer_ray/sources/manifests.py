"""Reading a manifest: a .csv, .jsonl or .parquet file with one recording per row, read in parts.

The column `uri` is required, but in a .parquet file that holds the audio itself (`parquet_audio.py`). `recorded_at`
gives the day (`days.py` says in which forms), `corpus` the corpus of the row; all other columns are kept as metadata,
as text. `size_bytes` and `etag` together describe an object in a bucket, which is then not asked for them (they are
kept as metadata too).
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmer_ray.errors import SourceError
from mmer_ray.sources.corpora import MAX_CORPUS_BYTES, is_corpus
from mmer_ray.sources.days import REMEDY, day_of, days_of_array, is_in_calendar
from mmer_ray.sources.metadata import SURROGATES, as_text, map_of_columns, map_of_rows, text_column
from mmer_ray.sources.parquet_audio import PATH, AudioColumn, audio_column, holds_bytes, mean_bytes
from mmer_ray.sources.uris import SUPPORTED, row_uri, unsupported_scheme

MANIFEST_EXTENSIONS = frozenset({"csv", "jsonl", "parquet"})
MAX_PART_ROWS = 16_384
NOT_METADATA = frozenset({"uri", "recorded_at", "corpus"})

_ETAG, _SIZE = re.compile("[!-~]+"), re.compile("[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class ManifestPart:
    """Consecutive rows of a manifest; every sequence has one item per row."""

    first_number: int
    """The first row's number, the manifest's first row of data being 1."""
    uris: Sequence[str]
    corpora: Sequence[str | None]
    """None where the row names no corpus."""
    days: Sequence[int | None]
    """Days since 1970-01-01, None where the row names none."""
    metadata: pa.MapArray[Any, Any]
    object_facts: Sequence[tuple[int, str] | None]
    """Size in bytes and etag where the row has both."""
    row_bytes: Sequence[int] | None = None
    """About how many bytes of audio each row holds; None where the rows name files."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """What a format's reader hands over: the columns with a meaning, as they are, and the others as text."""

    columns: Mapping[str, Sequence[object] | pa.Array[Any]]
    metadata: pa.MapArray[Any, Any]
    row_bytes: Sequence[int] | None = None


def read_manifest(path: bytes) -> Iterator[ManifestPart]:
    """The rows of a manifest, at most `MAX_PART_ROWS` at a time. Raises `SourceError`, naming file, row and column."""
    name, extension = os.fsdecode(path), os.fsdecode(path).rpartition(".")[2].lower()
    reader = {"csv": _csv_rows, "jsonl": _jsonl_rows, "parquet": _parquet_rows}[extension]
    first_number = 1
    try:
        with open(path, "rb") as file:  # noqa: PTH123 -- pathlib takes no bytes
            for rows in reader(name, file):
                yield (part := _part(name, first_number, rows))
                first_number += len(part.uris)
    except (UnicodeDecodeError, csv.Error) as exc:
        raise SourceError(f"manifest {name} is no UTF-8 .{extension} file: {exc}") from exc
    except pa.ArrowException as exc:
        raise SourceError(f"manifest {name} is no readable Parquet file: {str(exc)[:200]}") from exc
    except OSError as exc:
        raise SourceError(f"manifest {name} cannot be read: {exc.strerror or exc}") from exc


def _part(path: str, first_number: int, rows: _Rows) -> ManifestPart:
    def at(index: int) -> str:
        return f"manifest {path} row {first_number + index}"

    uris = _listed(rows.columns["uri"])
    nothing: Sequence[None] = [None] * len(uris)
    return ManifestPart(
        first_number,
        uris if rows.row_bytes is not None else [_uri(at, index, uri) for index, uri in enumerate(uris)],
        _corpora(at, _listed(rows.columns.get("corpus", nothing))),
        _days(at, rows.columns.get("recorded_at", nothing)),
        rows.metadata,
        list(map(_object_facts, *(_listed(rows.columns.get(name, nothing)) for name in ("size_bytes", "etag")))),
        rows.row_bytes,
    )


def _uri(at: Callable[[int], str], index: int, uri: object) -> str:
    if not isinstance(uri, str) or not uri or uri.isspace():
        raise SourceError(f"{at(index)}: the uri is empty")
    if not uri.isascii() and SURROGATES.search(uri):
        raise SourceError(f"{at(index)}: the uri is not valid Unicode; write such names as file:// URLs")
    if "://" in uri and (scheme := unsupported_scheme(uri.strip())):
        raise SourceError(f"{at(index)}: {scheme} is not supported; a uri may be one of {SUPPORTED}")
    return uri


def _corpora(at: Callable[[int], str], names: Sequence[object]) -> list[str | None]:
    texts = [as_text(name) or None for name in names]
    for wrong in {name for name in texts if name is not None and not is_corpus(name)}:
        raise SourceError(
            f"{at(texts.index(wrong))}: corpus {wrong!r} cannot name a folder of the lake; "
            f"give a name of 1 to {MAX_CORPUS_BYTES} bytes"
        )
    return texts


def _days(at: Callable[[int], str], column: Sequence[object] | pa.Array[Any]) -> list[int | None]:
    if isinstance(column, pa.Array) and (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        days = days_of_array(column)
        wrong = next((index for index, day in enumerate(days) if day is not None and not is_in_calendar(day)), None)
        if wrong is not None:
            raise SourceError(f"{at(wrong)}: recorded_at is outside the years 1 to 9999; {REMEDY}")
        return days
    days = []
    for index, value in enumerate(_listed(column)):
        try:
            days.append(day_of(value))
        except ValueError as exc:
            raise SourceError(f"{at(index)}: recorded_at is {value!r} ({exc}); {REMEDY}") from exc
    return days


def _object_facts(size_bytes: object, etag: object) -> tuple[int, str] | None:
    if not isinstance(etag, str) or not _ETAG.fullmatch(etag):
        return None
    size = as_text(size_bytes) or ""
    return (int(size), etag.strip('"')) if _SIZE.fullmatch(size) else None


def _listed(column: Sequence[object] | pa.Array[Any]) -> Sequence[Any]:
    return column.to_pylist() if isinstance(column, pa.Array) else column


def _require_uri_column(path: str, names: Iterable[str]) -> None:
    if "uri" not in (found := list(names)):
        raise SourceError(f"manifest {path} has no column 'uri' (it has: {', '.join(found) or 'none'})")


def _csv_rows(path: str, file: IO[bytes]) -> Iterator[_Rows]:
    # utf-8-sig: spreadsheets put a byte order mark in front.
    reader = (row for row in csv.reader(io.TextIOWrapper(file, encoding="utf-8-sig", newline="")) if row)
    header = next(reader, [])
    _require_uri_column(path, header)
    first_number = 1
    while rows := list(islice(reader, MAX_PART_ROWS)):
        columns = list(zip_longest(*rows, fillvalue=None))
        if len(columns) > len(header):
            number = first_number + next(index for index, row in enumerate(rows) if len(row) > len(header))
            raise SourceError(f"manifest {path} row {number}: more fields than the header names; quote commas")
        columns += [(None,) * len(rows)] * (len(header) - len(columns))
        by_name: dict[str, Sequence[object]] = dict(zip(header, columns, strict=True))
        texts = {name: pa.array(column, pa.string()) for name, column in by_name.items() if name not in NOT_METADATA}
        yield _Rows(by_name, map_of_columns(texts, len(rows)))
        first_number += len(rows)


def _jsonl_rows(path: str, file: IO[bytes]) -> Iterator[_Rows]:
    lines = (line for line in io.TextIOWrapper(file, encoding="utf-8-sig") if line.strip())
    numbered = enumerate(lines, start=1)
    while rows := [_jsonl_row(path, number, line) for number, line in islice(numbered, MAX_PART_ROWS)]:
        names = ("uri", "recorded_at", "corpus", "size_bytes", "etag")
        yield _Rows({name: [row.get(name) for row in rows] for name in names}, map_of_rows(rows, NOT_METADATA))


def _jsonl_row(path: str, number: int, line: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise SourceError(f"manifest {path} row {number}: not JSON: {str(exc)[:200]}") from exc
    if not isinstance(row, dict):
        raise SourceError(f"manifest {path} row {number}: a row is a JSON object with a key 'uri'")
    _require_uri_column(f"{path} row {number}", row)
    return row


def _parquet_rows(path: str, file: IO[bytes]) -> Iterator[_Rows]:
    # The schema first: reading data of an extension type may run code that the file carries.
    schema = pq.read_schema(file)
    for column in schema:
        if _has_extension_type(column):
            raise SourceError(
                f"manifest {path}: column {column.name!r} has an extension type, which can carry code; "
                "write plain columns, or a .csv"
            )
    if "uri" not in schema.names and (audio := _audio_column(path, schema)) is not None:
        yield from _audio_rows(path, file, audio)
        return
    _require_uri_column(path, schema.names)
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(MAX_PART_ROWS):
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            texts = {name: text_column(column) for name, column in columns.items() if name not in NOT_METADATA}
            yield _Rows(columns, map_of_columns(texts, batch.num_rows))


def _audio_column(path: str, schema: pa.Schema) -> AudioColumn | None:
    try:
        return audio_column(schema)
    except ValueError as exc:
        raise SourceError(f"manifest {path} has no column 'uri', and {exc}") from exc


def _audio_rows(path: str, file: IO[bytes], audio: AudioColumn) -> Iterator[_Rows]:
    """Rows that hold their audio, which is not read: the name that it had is, and the columns without bytes."""
    named, number = os.path.abspath(os.fsencode(path)), 0  # noqa: PTH100 -- links stay, and pathlib takes no bytes
    with pq.ParquetFile(file) as parquet:
        wanted = [column.name for column in parquet.schema_arrow if not holds_bytes(column.type)]
        wanted += [f"{audio.name}.{PATH}"] if audio.has_path else []
        for group, num_bytes in enumerate(mean_bytes(parquet, audio.leaf)):
            for batch in parquet.iter_batches(MAX_PART_ROWS, row_groups=[group], columns=wanted):
                columns: dict[str, Any] = dict(zip(batch.schema.names, batch.columns, strict=True))
                if audio.has_path:
                    columns[audio.name] = columns[audio.name].field(PATH)
                texts = {name: text_column(column) for name, column in columns.items() if name not in NOT_METADATA}
                columns["uri"] = [row_uri(named, number + index) for index in range(batch.num_rows)]
                yield _Rows(columns, map_of_columns(texts, batch.num_rows), [num_bytes] * batch.num_rows)
                number += batch.num_rows


def _has_extension_type(column: pa.Field[Any]) -> bool:
    if isinstance(column.type, pa.BaseExtensionType) or b"ARROW:extension:name" in (column.metadata or {}):
        return True
    return any(_has_extension_type(column.type.field(i)) for i in range(column.type.num_fields))
