"""A small lake with rows in every table that a job fills, and ways to damage it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from mmer_ray.errors import ErrorCode
from mmer_ray.failpoint import VARIABLE
from mmer_ray.lake.activation import activate
from mmer_ray.lake.finding import Finding
from mmer_ray.lake.rewrite import replace_rows
from mmer_ray.lake.store import Lake
from mmer_ray.lake.upgrade import upgrade
from mmer_ray.lake.verification import Verification
from mmer_ray.tables import partition_columns
from tests.lake.makers import audio_file, job, listing, newer

PLACE = {"corpus": "calls", "month": "2026-11"}
"""The one partition of `small_lake`."""


def small_lake(folder: Path) -> Lake:
    """Four recordings, a copy and one that failed, in commits of two; emotions by two models, and the second active."""
    for name in "abcde":
        audio_file(folder / "audio", f"{name}.wav")
    audio_file(folder / "audio", "copy.wav", (folder / "audio" / "a.wav").read_bytes())
    recordings = listing(folder / "audio")
    lake = Lake(folder / "lake")
    job(lake, recordings, failing={"e.wav": ErrorCode.EMPTY_FILE}, recordings_per_commit=2)
    job(lake, recordings, newer("emotion"))
    activate(lake, newer("emotion").scorer)
    return lake


def change_rows(address: Path, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Write a table again with other rows, as a bug of ours might: files and checksums are in order."""
    lake = Lake(address)
    rows = change(lake.newest(name).to_pyarrow_table())
    replace_rows(lake, name, rows.to_reader(), "a bug", PLACE if partition_columns(name) else {})


def with_values(rows: pa.Table, column: str, values: Sequence[Any]) -> pa.Table:
    """The same rows with the first values of a column replaced."""
    at = rows.column_names.index(column)
    field = rows.schema.field(at)
    every = [*values, *rows.column(column).to_pylist()[len(values) :]]
    return rows.set_column(at, field, pa.array(every, field.type))


def with_a_row_twice(rows: pa.Table) -> pa.Table:
    """The first row of a commit in the place of its second."""
    ids = rows.column("commit_id").to_pylist()
    ((commit_id, count),) = Counter(ids).most_common(1)
    assert count > 1
    first, second, *_ = (at for at, name in enumerate(ids) if name == commit_id)
    return rows.take([first if at == second else at for at in range(rows.num_rows)])


def found_in(address: Path, *, quick: bool = False) -> list[Finding]:
    return list(Verification(Lake(address, to_read=True), quick=quick).findings())


def damages(address: Path) -> list[str]:
    """The damage that is found: `table: what`."""
    return [f"{one.table}: {one.what}" for one in found_in(address) if one.is_damage]


def notes(address: Path) -> list[str]:
    return [f"{one.table}: {one.what}" for one in found_in(address) if not one.is_damage]


def flip(path: Path, position: int) -> None:
    """Change one bit of one byte."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << (position % 8)
    path.write_bytes(content)


def score_and_die(point: str, address: Path, audio: Path) -> None:
    """A job that dies at a failpoint: the target of a process."""
    os.environ[VARIABLE] = point
    job(Lake(address), listing(audio))


def upgrade_and_die(point: str, address: Path) -> None:
    """An upgrade that dies at a failpoint: the target of a process."""
    os.environ[VARIABLE] = point
    upgrade(Lake(address))
