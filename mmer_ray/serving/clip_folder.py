"""The folder that clips lie in while they are scored: private, and gone with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmer_ray.serving.interface import ScorersUnavailableError

PREFIX = "mmer-clips-"
LOCK = "lock"
"""A file in the folder that its process holds a lock on (flock(2)); the system lets go of it when the process ends."""


class ClipFolder:
    """Where the bytes of clips become files for the decoder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def file_of(self, sound: bytes) -> Iterator[Path]:
        """A file with these bytes, which is gone afterwards.

        Raises `ScorersUnavailableError` where it cannot be written.
        """
        # No extension: it would say something about the bytes.
        number, name = tempfile.mkstemp(dir=self.path)
        try:
            try:
                with os.fdopen(number, "wb") as file:
                    file.write(sound)
            except OSError as error:
                raise ScorersUnavailableError(f"the clip cannot be put down: {error.strerror}") from error
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)


@contextmanager
def clip_folder(parent: Path | None = None) -> Iterator[ClipFolder]:
    """A folder that this user alone can read, removed at the end. Those of processes that were killed go too."""
    parent = parent or Path(tempfile.gettempdir())
    remove_abandoned(parent)
    path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    try:
        with (path / "unlocked").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Under its name it is locked from the first moment: nobody takes the folder for abandoned.
            (path / "unlocked").rename(path / LOCK)
            yield ClipFolder(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def remove_abandoned(parent: Path) -> None:
    """Remove this user's folders whose process is no more."""
    for path in parent.glob(f"{PREFIX}*"):
        try:
            if path.is_symlink() or path.stat().st_uid != os.getuid():
                continue
            with (path / LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            # Locked, gone meanwhile, or not a folder of ours.
            continue
