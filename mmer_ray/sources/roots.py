"""Which folders a job may read from: a source's own folder and those that the user names with `--root`.

Links are resolved while listing, to choose the root that a file lies in. The decoder resolves them again when it opens
the file and refuses what lies outside that one root by then.
"""

# Names need not be UTF-8, so paths are bytes here, which pathlib does not take.
# ruff: noqa: PTH100, PTH112

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache

from mmer_ray.errors import SourceError
from mmer_ray.sources.uris import is_remote, local_path, local_uri, unsupported_scheme

MAX_KNOWN_FOLDERS = 10_000
"""Folders whose root is remembered: a manifest names many files of few folders."""


class NamedRoots:
    """The folders and prefixes that the user names with `--root`."""

    def __init__(self, names: Sequence[str]) -> None:
        """Raises `SourceError` for a root that is no folder."""
        self.prefixes = tuple(f"{name.rstrip('/')}/" for name in names if is_remote(name))
        self.folders = tuple(_folder(name) for name in names if not is_remote(name))


class Roots:
    """The folders that one source may read from."""

    def __init__(self, home: bytes, named: NamedRoots) -> None:
        self._home = _inside(os.path.realpath(home))
        self.home_uri = local_uri(home)
        self._named = [(_inside(os.path.realpath(folder)), local_uri(folder)) for folder in named.folders]
        self._root_of_folder = lru_cache(MAX_KNOWN_FOLDERS)(lambda folder: self._root_of(os.path.realpath(folder)))

    def root_of(self, path: bytes, is_link: bool) -> str:
        """The uri of the root that a file lies in; the source's own folder where it lies in none, to be refused."""
        return self._root_of(os.path.realpath(path)) if is_link else self._root_of_folder(path.rpartition(b"/")[0])

    def _root_of(self, real: bytes) -> str:
        inside = _inside(real)
        if inside.startswith(self._home):
            return self.home_uri
        return next((uri for root, uri in self._named if inside.startswith(root)), self.home_uri)

    def root_of_linked_folder(self, real: bytes) -> str | None:
        """The uri of the named root that a linked folder, resolved, lies in.

        None where it lies in none, or within or around the source's own folder, whose files are listed anyway.
        """
        inside = _inside(real)
        if inside.startswith(self._home) or self._home.startswith(inside):
            return None
        return next((uri for root, uri in self._named if inside.startswith(root)), None)


def _folder(name: str) -> bytes:
    if scheme := unsupported_scheme(name):
        raise SourceError(f"--root {name!r}: {scheme} is not supported; name a folder or an s3:// prefix")
    try:
        path = os.path.abspath(local_path(name))
        is_folder = bool(name) and os.path.isdir(path)
    except (ValueError, OSError):
        is_folder = False
    if not is_folder:
        raise SourceError(f"--root {name!r} is no folder; name one that is there, or an s3:// prefix")
    return path


def _inside(folder: bytes) -> bytes:
    return folder.rstrip(b"/") + b"/"
