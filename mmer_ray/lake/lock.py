"""The lock of a local lake: one writer at a time, whatever ends it."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmer_ray.errors import LakeError

LOCK_NAME = "writer.lock"

_LOCKED_HERE: set[Path] = set()


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold a POSIX record lock on a lake's folder. Unlike flock's, it is not shared with forked children: decoders
    that outlive a killed driver by a moment do not keep the lake from its next run. It binds processes, so this
    process's own holders are counted beside it. Raises `LakeError` while another job holds it."""
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
