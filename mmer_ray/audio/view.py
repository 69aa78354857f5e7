"""What FFmpeg reads from: seekable files over bytes that are hashed as they pass."""

from __future__ import annotations

import hashlib
import io
from abc import ABC, abstractmethod
from typing import Any

from mmer_ray.audio.opening import DIGEST_BYTES, ByteSource, os_failure
from mmer_ray.audio.pulse import Pulse
from mmer_ray.errors import AudioError, ErrorCode

HASH_CHUNK_BYTES = 1 << 20


class SeekableFile(io.RawIOBase, ABC):
    """What FFmpeg asks of a file, over bytes that can be read anywhere."""

    def __init__(self) -> None:
        self._position = 0

    @abstractmethod
    def _size(self) -> int:
        """Bytes of the file."""

    @abstractmethod
    def _read_at(self, position: int, num_bytes: int) -> bytes:
        """Bytes from `position` on, of which so many are left."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = max(0, (0, self._position, self._size())[whence] + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size() - self._position)
        data = self._read_at(self._position, left if size < 0 else min(size, left))
        self._position += len(data)
        return data


class HashedView(SeekableFile):
    """What the demuxer reads: a stretch of the source, hashed as it is read where that is in order.

    The digest covers the whole source, in whatever order the demuxer reads.
    """

    def __init__(self, source: ByteSource, pulse: Pulse) -> None:
        super().__init__()
        self._source = source
        self._pulse = pulse
        self._hash: Any = hashlib.blake2b(digest_size=DIGEST_BYTES)
        self._num_hashed = 0
        self._start, self._end = 0, source.size_bytes
        self.failure: AudioError | None = None
        """The read error that the demuxer has swallowed, if any."""

    def show(self, start: int, end: int) -> None:
        """Let the demuxer see the bytes from `start` to `end` only, and go to their beginning."""
        self._start, self._end, self._position = start, end, 0

    def _size(self) -> int:
        return self._end - self._start

    def _read_at(self, position: int, num_bytes: int) -> bytes:
        return self.read_at(self._start + position, num_bytes)

    def read_at(self, offset: int, num_bytes: int) -> bytes:
        """Bytes of the source, counted from its beginning, whatever is shown."""
        self._pulse()
        # A file that grows while it is read must not be followed beyond the size that was checked.
        wanted = max(0, min(num_bytes, self._source.size_bytes - offset))
        try:
            data = self._source.read_at(offset, wanted) if wanted else b""
            self._pulse.waited_s = self._source.waited_s
        except OSError as exc:
            self.failure = os_failure(exc)
            raise
        ahead = self._num_hashed - offset
        if 0 <= ahead < len(data):
            self._hash.update(memoryview(data)[ahead:])
            self._num_hashed = offset + len(data)
        return data

    def digest(self) -> str:
        """BLAKE2b-128 over all bytes as 32 hex digits, reading those that were passed over. Raises `AudioError`."""
        if self.failure is not None:
            raise self.failure
        while self._num_hashed < self._source.size_bytes:
            if not self.read_at(self._num_hashed, HASH_CHUNK_BYTES):
                raise AudioError(ErrorCode.CHANGED_DURING_READ, "the file became shorter while it was read")
        return str(self._hash.hexdigest())

    def changed(self) -> bool:
        """Whether the recording is another one than when it was opened."""
        return self._source.changed()

    @property
    def size_bytes(self) -> int:
        return self._source.size_bytes
