"""Rows of the tables that corpora come with, and their cells: whatever is wrong is named by file and line."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mmer_ray.errors import UsageError

MISSING = frozenset({"", "nan", "na", "n/a", "none", "null"})
"""What an absent value is written as, in lower case: pandas and R leave "nan" and "NA"."""


class Row(NamedTuple):
    """One row of a table."""

    where: str
    """Such as "labels.csv:17"."""
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """A cell without the spaces around it; "" where it is empty or the column is not there."""
        return self.cells.get(column, "").strip()

    def needed(self, column: str) -> str:
        """A cell that must say something. Raises `UsageError` where it is empty or NaN."""
        value = self.text(column)
        if value.lower() in MISSING:
            said = f" ({value})" if value else ""
            raise UsageError(f"{self.where}: {column} is missing{said}: fill it in, or take the row out")
        return value

    def optional(self, column: str) -> str | None:
        """A cell; None where it is empty, NaN or the column is not there."""
        value = self.text(column)
        return None if value.lower() in MISSING else value

    def words(self, column: str) -> str | None:
        """A transcript, maybe empty; None where the column is not there or pandas left `nan` for an unknown one."""
        value = self.text(column)
        return None if column not in self.cells or value == "nan" else value

    def one_of(self, column: str, known: Mapping[str, str]) -> str:
        """A needed cell that is one of the known words; what it stands for. Raises `UsageError` for another word."""
        value = self.needed(column)
        if value not in known:
            raise UsageError(f"{self.where}: {column} is {value!r}, which is none of {', '.join(known)}")
        return known[value]

    def number(self, column: str) -> float:
        """A needed cell that is a finite number. Raises `UsageError` for anything else."""
        value = self.needed(column)
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise UsageError(f"{self.where}: {column} is {value!r}, which is no finite number")
        return number


def read_csv(path: Path, needed: tuple[str, ...] = ()) -> Iterator[Row]:
    """Yield the rows of a .csv file in UTF-8. Raises `UsageError` where a needed column or the encoding is wrong."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            require_columns(path, reader.fieldnames or (), needed)
            for cells in reader:
                if None in cells:
                    raise UsageError(f"{path.name}:{reader.line_num}: more cells than columns: quote the text")
                yield Row(f"{path.name}:{reader.line_num}", cells)
    except (UnicodeDecodeError, csv.Error) as exc:
        raise UsageError(f"{path} is no .csv file in UTF-8: {exc}") from exc


def columns_of(path: Path) -> tuple[str, ...]:
    """The names in the first line of a .csv file; none where it is no text."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return tuple(next(csv.reader(file), ()))
    except (UnicodeDecodeError, csv.Error):
        return ()


def require_columns(path: Path, found: Sequence[str], needed: Sequence[str]) -> None:
    """Raise `UsageError` where a table lacks a column."""
    if absent := [name for name in needed if name not in found]:
        raise UsageError(f"{path} has no column {', '.join(absent)}; its columns are {', '.join(found) or 'none'}")
