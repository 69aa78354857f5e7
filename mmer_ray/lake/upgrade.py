"""Bringing a lake of an earlier schema version to this one, now instead of with its next write.

Rows stay as they are: readers know those of every version. Tables and columns that are new are added, and every file
gets a digest (`checksums.py`). Killed anywhere, the same call goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmer_ray.failpoint import failpoint
from mmer_ray.lake.store_errors import writing
from mmer_ray.lake.table_log import logged_files, missing_columns
from mmer_ray.tables import SCHEMA_VERSION, SCHEMAS

if TYPE_CHECKING:
    from mmer_ray.lake.store import Lake


@dataclass(frozen=True)
class Upgrade:
    """What an upgrade does or did."""

    from_version: int
    to_version: int
    tables: tuple[str, ...]
    """Tables that are made."""
    columns: Mapping[str, tuple[str, ...]]
    """Table -> columns that it gets."""
    num_files: int
    """Files that get a digest, those of the log among them."""
    num_damaged_records: int
    """Records of digests that are made anew, of the files as they are now."""

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to do."""
        nothing: tuple[object, ...] = (SCHEMA_VERSION, (), {}, 0, 0)
        return (self.from_version, self.tables, self.columns, self.num_files, self.num_damaged_records) != nothing


def plan_upgrade(lake: Lake) -> Upgrade:
    """Say what `upgrade` would do. Raises `LakeError` where there is no lake, or a damaged one."""
    lake.require_existing()
    there = {name: table for name in SCHEMAS if (table := lake.opened(name)) is not None}
    is_older = lake.schema_version < SCHEMA_VERSION
    missing = {name: missing_columns(name, table) for name, table in there.items() if is_older}
    return Upgrade(
        from_version=lake.schema_version,
        to_version=SCHEMA_VERSION,
        tables=tuple(name for name in SCHEMAS if name not in there),
        columns={name: tuple(field.name for field in fields) for name, fields in missing.items() if fields},
        num_files=sum(len(lake.checksums.missing(name, logged_files(lake, name))) for name in there),
        num_damaged_records=sum(len(lake.checksums.read(name).damaged) for name in there),
    )


def upgrade(lake: Lake) -> Upgrade:
    """Upgrade the lake; returns what was done. Raises `LakeError` also where another job writes it, `StoreError`."""
    lake.require_existing()
    with lake.lock():
        planned = plan_upgrade(lake)
        if not planned.is_needed:
            return planned
        lake.create()
        for name in SCHEMAS:
            failpoint(f"before_upgrade_{name}")
            with writing(lake.address):
                _record(lake, name)
    return planned


def _record(lake: Lake, name: str) -> None:
    live, checksums = logged_files(lake, name), lake.checksums
    if checksums.read(name).damaged or checksums.missing(name, live):
        checksums.renew(name, lake.newest(name).version(), live)
