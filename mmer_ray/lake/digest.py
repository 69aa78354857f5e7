"""The digest of a local file, read as a stream, for files that may be copies of known audio."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from urllib.parse import unquote_to_bytes

from mmer_ray.records import Recording

FILE_URL = "file://"


def local_path(uri: str) -> Path | None:
    """Where a uri lies on this machine; None for addresses elsewhere."""
    if uri.startswith(FILE_URL):
        return Path(os.fsdecode(unquote_to_bytes(uri.removeprefix(FILE_URL))))
    return None if "://" in uri else Path(uri)


def content_digest(recording: Recording) -> str | None:
    """BLAKE2b-128 of the file's bytes as 32 hex digits, as the decoder makes it.

    None where the file is not plainly what the listing saw: gone, changed, no regular file, outside its root.
    The decoder then looks at it, with all its guards, and says what is wrong.
    """
    path = local_path(recording.uri)
    if path is None or "\0" in recording.uri:
        return None
    try:
        if recording.root and not path.resolve(strict=True).is_relative_to(Path(recording.root).resolve()):
            return None
        # Without O_NONBLOCK, opening a named pipe waits for a writer that may never come.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not _is_as_listed(recording, os.fstat(file.fileno())):
                return None
            found = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
            return found if _is_as_listed(recording, os.fstat(file.fileno())) else None
    except (OSError, RuntimeError):
        # RuntimeError: a loop of links, in Python 3.11 and 3.12.
        return None


def _is_as_listed(recording: Recording, now: os.stat_result) -> bool:
    unchanged = not recording.modified.isdecimal() or int(recording.modified) == now.st_mtime_ns
    return stat.S_ISREG(now.st_mode) and now.st_size == recording.size_bytes and unchanged
