"""A table of labelled speech of your own: .csv, .jsonl or .parquet, a row for each utterance.

Needed columns: `path` (of the sound, from the table's folder on), `speaker`, `label`. Those that may be there: `id`
(else path and times), `text`, `start_s` and `end_s`, `channel` (from 0), `valence`, `arousal`, `dominance` (-1..1),
`votes_LABEL` (how many raters chose it), `dialogue`, `session`, `sex` (female, male), `style` (scripted, improvised),
`sentence`, `partition` (train, development, test). All labels of the table are its classes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pyarrow as pa
import pyarrow.parquet as pq

from mmer_ray.errors import UsageError
from mmer_ray.training.corpora.assembly import assemble, shares_of
from mmer_ray.training.corpora.classes import Classes, in_order
from mmer_ray.training.corpora.rows import Row, columns_of, read_csv, require_columns
from mmer_ray.training.utterances import Corpus, Sex, Sound, Style, Utterance

SHAPE = "a manifest (.csv, .jsonl or .parquet with path, speaker, label)"
SUFFIXES = frozenset({".csv", ".jsonl", ".parquet"})
COLUMNS = ("path", "speaker", "label")
VOTES = "votes_"
DIMENSIONS = ("valence", "arousal", "dominance")
SEXES: dict[str, Sex] = {name: name for name in get_args(Sex)}
STYLES: dict[str, Style] = {name: name for name in get_args(Style)}


def is_here(place: Path) -> bool:
    """Whether a file is such a table."""
    if place.suffix == ".csv":
        return place.is_file() and set(COLUMNS) <= set(columns_of(place))
    return place.suffix in SUFFIXES and place.is_file()


def read(place: Path, classes: Classes) -> Corpus:
    """Read a table; its own labels are the classes, whatever `classes` says.

    Raises `UsageError`, by file and line, for what is missing or wrong.
    """
    rows = list(read_rows(place, COLUMNS))
    labels = in_order({row.needed("label") for row in rows})
    return assemble(place.stem, (_utterance(place.parent, row, labels) for row in rows), labels)


def _utterance(folder: Path, row: Row, labels: tuple[str, ...]) -> Utterance:
    sound = _sound(folder, row)
    times = "" if not sound.start_ms and sound.end_ms is None else f"#{sound.start_ms}-{sound.end_ms or ''}"
    sex, style = row.optional("sex"), row.optional("style")
    return Utterance(
        utterance_id=row.optional("id") or f"{row.needed('path')}{times}",
        sound=sound,
        speaker=row.needed("speaker"),
        label=row.needed("label"),
        text=row.words("text"),
        shares=_shares(row, labels),
        dimensions=_dimensions(row),
        dialogue=row.optional("dialogue"),
        session=row.optional("session"),
        sex=None if sex is None else SEXES[row.one_of("sex", {name: name for name in SEXES})],
        style=None if style is None else STYLES[row.one_of("style", {name: name for name in STYLES})],
        sentence=row.optional("sentence"),
        partition=row.optional("partition"),
        read_from=row.where,
    )


def _sound(folder: Path, row: Row) -> Sound:
    start_ms, end_ms = (_milliseconds(row, column) for column in ("start_s", "end_s"))
    channel = None if row.optional("channel") is None else row.number("channel")
    if start_ms is not None and end_ms is not None and end_ms <= start_ms:
        raise UsageError(f"{row.where}: end_s is not after start_s")
    if channel is not None and (channel < 0 or channel != int(channel)):
        raise UsageError(f"{row.where}: channel is {channel:g}: count channels 0, 1, ..")
    path = folder / row.needed("path")
    return Sound(path, start_ms or 0, end_ms, None if channel is None else int(channel))


def _milliseconds(row: Row, column: str) -> int | None:
    if row.optional(column) is None:
        return None
    if (seconds := row.number(column)) < 0:
        raise UsageError(f"{row.where}: {column} is {seconds:g}: times count from the start of the file")
    return round(1000 * seconds)


def _dimensions(row: Row) -> tuple[float, float, float] | None:
    numbers = [math.nan if row.optional(name) is None else row.number(name) for name in DIMENSIONS]
    for name, number in zip(DIMENSIONS, numbers, strict=True):
        if not math.isnan(number) and not -1 <= number <= 1:
            raise UsageError(f"{row.where}: {name} is {number:g}, outside of -1..1")
    valence, arousal, dominance = numbers
    return None if all(map(math.isnan, numbers)) else (valence, arousal, dominance)


def _shares(row: Row, labels: tuple[str, ...]) -> dict[str, float] | None:
    votes = {}
    for column in row.cells:
        if column.startswith(VOTES) and row.optional(column) is not None:
            label, count = column.removeprefix(VOTES), row.number(column)
            if label not in labels:
                raise UsageError(f"{row.where}: {column} is {count:g}, but {label} is no label of the table")
            if count < 0:
                raise UsageError(f"{row.where}: {column} is {count:g}, which is no number of votes")
            votes[label] = count
    return shares_of(votes)


def read_rows(place: Path, needed: tuple[str, ...]) -> Iterator[Row]:
    """Yield the rows of a table in any of the three formats. Raises `UsageError` where a needed column is missing."""
    if place.suffix not in SUFFIXES or not place.is_file():
        raise UsageError(f"{place} is no table that is there: give a .csv, .jsonl or .parquet file")
    if place.suffix == ".csv":
        yield from read_csv(place, needed)
        return
    records = _json_lines(place) if place.suffix == ".jsonl" else _parquet_rows(place)
    is_first = True
    for number, record in records:
        if not isinstance(record, dict):
            raise UsageError(f"{place.name}:{number}: expected an object with {', '.join(needed)}")
        if is_first:
            require_columns(place, tuple(map(str, record)), needed)
            is_first = False
        yield Row(f"{place.name}:{number}", {str(name): _as_text(value) for name, value in record.items()})


def _json_lines(place: Path) -> Iterator[tuple[int, object]]:
    with place.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except ValueError as exc:
                    raise UsageError(f"{place.name}:{number}: no JSON: {exc}") from exc


def _parquet_rows(place: Path) -> Iterator[tuple[int, object]]:
    try:
        table = pq.read_table(place)
    except pa.ArrowException as exc:
        raise UsageError(f"{place} is no readable Parquet file: {str(exc)[:200]}") from exc
    yield from enumerate(table.to_pylist(), start=1)


def _as_text(value: object) -> str:
    return "" if value is None else str(value)
