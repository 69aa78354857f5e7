"""Bringing a lake of an earlier schema version to this one, now instead of with its next write.

Rows stay as they are: readers know those of every version. Tables and columns that are new are added, and every file
gets a digest (`checksums.py`). Killed anywhere, the same call goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmer_ray.lake.failpoint import failpoint
from mmer_ray.lake.store_errors import writing
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
        nothing = (SCHEMA_VERSION, (), {}, 0, 0)
        return (self.from_version, self.tables, self.columns, self.num_files, self.num_damaged_records) != nothing


def plan_upgrade(lake: Lake) -> Upgrade:
    """Say what `upgrade` would do. Raises `LakeError` where there is no lake, or a damaged one."""
    lake.require_existing()
    there = [name for name in SCHEMAS if lake.version(name) is not None]
    is_older = lake.schema_version < SCHEMA_VERSION
    columns = {name: tuple(lake.missing_columns(name)) for name in there} if is_older else {}
    return Upgrade(
        from_version=lake.schema_version,
        to_version=SCHEMA_VERSION,
        tables=tuple(name for name in SCHEMAS if name not in there),
        columns={name: some for name, some in columns.items() if some},
        num_files=sum(len(lake.checksums.missing(name, _live(lake, name))) for name in there),
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
    live, version = _live(lake, name), lake.version(name)
    assert version is not None, f"{name} was made"
    if lake.checksums.read(name).damaged or lake.checksums.missing(name, live):
        lake.checksums.renew(name, version, live)


def _live(lake: Lake, name: str) -> list[str]:
    return [path for path, _ in lake.logged(name)]
