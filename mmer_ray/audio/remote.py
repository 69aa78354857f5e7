"""The child's view of an object in a bucket. The parent reads it: this process has no network and no credentials."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

MIN_BLOCK_BYTES = 64 << 10
"""A jump to another place costs one request of this size."""
MAX_BLOCK_BYTES = 4 << 20
"""Blocks that follow each other double up to this size, so that a long file needs few requests."""
NUM_KEPT_BLOCKS = 4
"""Demuxers go back and forth between an index and the sound."""

Fetch = Callable[[int, int], bytes]
"""(offset, num_bytes) -> exactly these bytes of the object, at most `MAX_BLOCK_BYTES`."""


@dataclass(frozen=True, slots=True)
class _Block:
    start: int
    data: bytes

    @property
    def end(self) -> int:
        return self.start + len(self.data)


class RemoteBytes:
    """Random access to an object through `fetch`, with read-ahead. Satisfies `opening.ByteSource`."""

    waited_s = 0.0
    """The parent's clock stands still while it fetches: there is nothing to add."""

    def __init__(self, size_bytes: int, fetch: Fetch) -> None:
        self.size_bytes = size_bytes
        self._fetch = fetch
        self._kept: deque[_Block] = deque(maxlen=NUM_KEPT_BLOCKS)

    def read_at(self, offset: int, num_bytes: int) -> bytes:
        """Bytes from `offset` on; fewer than `num_bytes` at the end of the object."""
        parts = []
        end = min(offset + num_bytes, self.size_bytes)
        while offset < end:
            block = self._block_at(offset)
            part = block.data[offset - block.start : end - block.start]
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    def changed(self) -> bool:
        """False: the parent compares the object's etag, at each read and at the end."""
        return False

    def close(self) -> None:
        self._kept.clear()

    def _block_at(self, offset: int) -> _Block:
        for block in self._kept:
            if block.start <= offset < block.end:
                return block
        start, num_bytes = offset - offset % MIN_BLOCK_BYTES, MIN_BLOCK_BYTES
        last = self._kept[-1] if self._kept else None
        if last is not None and start == last.end:
            num_bytes = min(2 * len(last.data), MAX_BLOCK_BYTES)
        block = _Block(start, self._fetch(start, min(num_bytes, self.size_bytes - start)))
        self._kept.append(block)
        return block
