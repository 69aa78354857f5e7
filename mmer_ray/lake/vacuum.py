"""What nobody reads any more is deleted: rows of unfinished commits, files that no log names, files of old versions.

A file that is no longer part of a table stays for a while, since a reader that was opened before still reads it. The
lake's lock keeps a running writer's files out of reach: what lies there unnamed was left by a dead one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import fsspec

from mmer_ray.lake.compaction import Part, drop_torn
from mmer_ray.lake.rewrite import sweep
from mmer_ray.lake.store import Lake
from mmer_ray.tables import SCHEMAS

KEEP_HOURS = 24


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What was deleted, or would be."""

    torn: tuple[Part, ...]
    """Partitions that held rows of unfinished commits. Their old files stay as long as others."""
    files: Mapping[str, list[str]]
    """Table -> files that were deleted."""
    num_bytes: int
    """Of the files."""

    @property
    def num_files(self) -> int:
        return sum(map(len, self.files.values()))


def vacuum(lake: Lake, keep_hours: int = KEEP_HOURS, *, dry_run: bool = False) -> Vacuumed:
    """Delete what no version of the last hours needs. A reader that is open for longer finds its files gone.

    Raises `LakeError` where there is no lake, or a damaged one, or another job writes it, and `StoreError`.
    """
    lake.require_existing()
    with lake.lock():
        if not dry_run:
            lake.create()
        torn = drop_torn(lake, dry_run=dry_run)
        unneeded = {name: sweep(lake, name, keep_hours, dry_run=True) for name in SCHEMAS if lake.has(name)}
        files = {name: paths for name, paths in unneeded.items() if paths}
        num_bytes = _num_bytes(lake, files)
        if not dry_run:
            for name in files:
                sweep(lake, name, keep_hours)
    return Vacuumed(torn, files, num_bytes)


def _num_bytes(lake: Lake, files: Mapping[str, list[str]]) -> int:
    store, root = fsspec.core.url_to_fs(lake.address)
    paths = [f"{root}/{name}/{path}" for name, some in files.items() for path in some]
    return sum(int(store.size(path)) for path in paths if store.exists(path))
