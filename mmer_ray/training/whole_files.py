"""Files and folders that appear whole or not at all, and a lock for those who change several.

What is written is on the disk before its name is: after a crash a name means whole content.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmer_ray.errors import PreflightError

FILE_MODE = 0o644
UNFINISHED = ".unfinished-"
"""How the names of folders begin that a killed process may leave behind."""


def write_whole(file: Path, text: str, mode: int = FILE_MODE) -> None:
    """Write a file, or replace it: readers see the old text or the new one. Nobody ever sees it with a wider mode."""
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=UNFINISHED, delete=False, encoding="utf-8") as draft:
        try:
            draft.write(text)
            draft.flush()
            os.fsync(draft.fileno())
            # The library makes it readable by its owner alone.
            os.fchmod(draft.fileno(), mode)
            Path(draft.name).replace(file)
        except BaseException:
            Path(draft.name).unlink(missing_ok=True)
            raise
    sync(file.parent)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give a new folder to fill, which becomes `target` at the end; after an error nothing is left.

    Raises `OSError` where `target` is there and holds something: a folder is never replaced.
    """
    unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=target.parent))
    try:
        # `mkdtemp` makes it for its owner alone.
        unfinished.chmod(0o755)
        yield unfinished
        for file in [*unfinished.rglob("*"), unfinished]:
            sync(file)
        unfinished.rename(target)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    sync(target.parent)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes left behind. To be called by the holder of the folder's lock alone."""
    for left in folder.glob(f"{UNFINISHED}*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a file's lock, waiting for whoever has it. It ends with the process, however that ends."""
    with file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def locked_at_once(folder: Path) -> Iterator[None]:
    """Hold a folder's lock. Raises `PreflightError` while another process does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise PreflightError(f"another process works in {folder}: wait for it, then run this again") from exc
        yield
    finally:
        os.close(descriptor)


def sync(path: Path) -> None:
    """Have the disk hold a file, or the names in a folder: a rename may outlive a power cut that contents do not."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
