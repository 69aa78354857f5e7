"""The digest of a local file's bytes, read as a stream, for files that may be copies of known audio."""

from __future__ import annotations

import contextlib
import hashlib
import os

from mmer_ray.audio.opening import DIGEST_BYTES, LocalBytes
from mmer_ray.errors import AudioError
from mmer_ray.records import Recording
from mmer_ray.sources.uris import is_remote
from mmer_ray.transcripts.mark import own_mark


def content_digest(recording: Recording) -> str | None:
    """BLAKE2b-128 of the file's bytes as 32 hex digits, as the decoder makes it.

    None where the file is not plainly what the listing saw: gone, changed, no regular file, outside its root, or in a
    bucket. The decoder then looks at it and says what is wrong.
    """
    if is_remote(recording.uri):
        return None
    try:
        with contextlib.closing(LocalBytes(recording.uri, recording.root)) as source:
            if not _is_as_listed(recording, source.status):
                return None
            with os.fdopen(os.dup(source.fd), "rb") as file:
                found = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=DIGEST_BYTES)).hexdigest()
            return None if source.changed() else found
    except (AudioError, OSError):
        return None


def _is_as_listed(recording: Recording, now: os.stat_result) -> bool:
    modified = own_mark(recording.modified)
    unchanged = not modified.isdecimal() or int(modified) == now.st_mtime_ns
    return now.st_size == recording.size_bytes and unchanged
