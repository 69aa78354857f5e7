"""Folders that appear whole or not at all: written under a temporary name beside their own, then renamed."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmer_ray.errors import UsageError


def require_new(folder: Path) -> None:
    """Raise `UsageError` where something lies there already: what is published is never mixed with what was."""
    try:
        taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as exc:
        raise UsageError(f"{folder} cannot be read: {exc.strerror}") from exc
    if taken:
        raise UsageError(f"{folder} exists already; name a new folder")


@contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to write to, which becomes `folder` once the block ends without an error.

    Raises `UsageError` where `folder` holds something, or cannot be made. What was written before an error is removed;
    a killed process leaves a folder whose name begins with a dot.
    """
    folder = folder.absolute()
    require_new(folder)
    draft = folder.parent / f".{folder.name}.{secrets.token_hex(4)}"
    try:
        draft.mkdir(parents=True)
    except OSError as exc:
        raise UsageError(f"{folder} cannot be written: {exc.strerror}") from exc
    try:
        yield draft
        draft.replace(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
