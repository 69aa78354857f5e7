"""Is a recording that the lake names still there? And below which root may it be read, where no source says so?"""

# Names need not be UTF-8, so paths are bytes here, which pathlib does not take.
# ruff: noqa: PTH116, PTH120

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from functools import lru_cache

from mmer_ray.sources.buckets import RemoteObject, describe_objects
from mmer_ray.sources.roots import MAX_KNOWN_FOLDERS, NamedRoots, Roots
from mmer_ray.sources.uris import is_remote, is_row, local_path, row_address

GONE = "the file is gone"
RESIZED = "the file changed since it was heard"


def absence(uri: str, size_bytes: int) -> str | None:
    """Why a recording of so many bytes is no longer there as it was; None where it is, as far as its status says.

    Bytes are not read: who reads them compares their digest. An object in a bucket is not asked for.
    """
    if is_remote(uri):
        return None
    try:
        # Of a row of a Parquet file the size is an estimate.
        path, known_bytes = (row_address(uri)[0], None) if is_row(uri) else (local_path(uri), size_bytes)
        found_bytes = os.stat(path).st_size
    except (OSError, ValueError):
        return GONE
    return RESIZED if known_bytes is not None and found_bytes != known_bytes else None


def facts_now(uris: Sequence[str]) -> list[tuple[int | None, str] | None]:
    """Size in bytes and modification mark of each recording as it is now, in order; None for one that is not there.

    Objects are asked for together. A row of a Parquet file has the mark of its file, and no size that a look at the
    file would tell. Raises `PreflightError` for a store that does not answer.
    """
    remote = [uri for uri in uris if is_remote(uri)]
    objects = {found.uri: found for found in (describe_objects(remote) if remote else [])}
    return [_remote_facts(objects[uri]) if uri in objects else _local_facts(uri) for uri in uris]


def _remote_facts(found: RemoteObject) -> tuple[int | None, str] | None:
    return (found.size_bytes, found.etag) if found.exists else None


def _local_facts(uri: str) -> tuple[int | None, str] | None:
    try:
        status = os.stat(row_address(uri)[0] if is_row(uri) else local_path(uri))
    except (OSError, ValueError):
        return None
    return None if is_row(uri) else status.st_size, str(status.st_mtime_ns)


class OwnFolders:
    """The roots of recordings that no source lists: each file's own folder, or a root that the user names."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        """`names` are folders and `s3://` prefixes. Raises `SourceError` for a root that is no folder."""
        self._named = NamedRoots(names)
        self._roots = lru_cache(MAX_KNOWN_FOLDERS)(lambda folder: Roots(folder, self._named))

    def root_of(self, uri: str) -> str:
        """The folder or prefix that a recording must lie in once links are resolved; "" for its own folder."""
        if is_remote(uri):
            own = uri.rpartition("/")[0] + "/"
            return next((prefix for prefix in self._named.prefixes if uri.startswith(prefix)), own)
        if not self._named.folders:
            return ""
        try:
            path = row_address(uri)[0] if is_row(uri) else local_path(uri)
            is_link = stat.S_ISLNK(os.lstat(path).st_mode)
            return self._roots(os.path.dirname(path)).root_of(path, is_link)
        except (OSError, ValueError):
            return ""
