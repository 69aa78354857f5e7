"""The lock of a lake's one writer: a POSIX record lock on `writer.lock`, for lakes on local file systems."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmer_ray.errors import LakeError

LOCK_NAME = "writer.lock"
_FLOCK = struct.Struct("hhqqi")
"""`struct flock` of 64-bit Linux: type, whence, start, length, process."""

_LOCKED_HERE: set[Path] = set()


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the lock of the lake in `folder`, a resolved path. Raises `LakeError` while anybody else does.

    Unlike flock's, a record lock is not shared with forked children: decoders that outlive a killed driver by a
    moment do not keep the lake from its next run. It binds processes, so this process's own holders are counted
    beside it.
    """
    if folder in _LOCKED_HERE:
        raise LakeError(f"the lake {folder} is being written by this very process; finish that run first")
    with (folder / LOCK_NAME).open("a+", encoding="utf-8") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            if exc.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            file.seek(0)
            holder = f"process {file.read(20).strip() or 'unknown'}"
            remedy = "wait for it or stop it, then run this again"
            raise LakeError(f"the lake {folder} is being written by {holder}; {remedy}") from exc
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        _LOCKED_HERE.add(folder)
        try:
            yield
        finally:
            _LOCKED_HERE.discard(folder)


def is_locked(folder: Path) -> bool:
    """Say whether some process holds the lock of the lake in `folder`. Takes nothing and writes nothing."""
    folder = folder.resolve()
    # Closing any descriptor of the file would drop the lock that this process holds.
    if folder in _LOCKED_HERE:
        return True
    try:
        with (folder / LOCK_NAME).open("rb") as file:
            asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            lock_type, *_ = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except FileNotFoundError:
        return False
    return bool(lock_type != fcntl.F_UNLCK)
