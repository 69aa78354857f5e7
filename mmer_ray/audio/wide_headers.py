"""The headers of Wave64 and Core Audio files, whose lengths have 64 bits: repaired where a wrong one would cost sound.

Sources: the Sony Wave64 format, Apple's Core Audio Format specification.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from mmer_ray.audio.mpeg import ReadAt
from mmer_ray.audio.samples_length import is_chunk_name, samples_length

MAX_CHUNKS = 100
MAX_HEADER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Form:
    """How chunks are written."""

    first: int
    """Bytes in front of the first chunk."""
    name_bytes: int
    length: str
    """Of the length behind a name, as for `struct`."""
    counts_itself: bool
    """The length counts name and length too."""
    align: int
    num_bytes_ahead: int
    """Bytes of the data chunk in front of the samples."""
    to_end: int | None = None
    """A length that means "up to the end of the file" by the format's own rules."""

    @property
    def head_bytes(self) -> int:
        return self.name_bytes + 8


W64 = Form(first=40, name_bytes=16, length="<Q", counts_itself=True, align=8, num_bytes_ahead=0)
CAF = Form(first=8, name_bytes=4, length=">Q", counts_itself=False, align=1, num_bytes_ahead=4, to_end=(1 << 64) - 1)


def repaired(read_at: ReadAt, size_bytes: int, start: int, form: Form) -> tuple[bytes, int, int] | None:
    """A header with the true length, and the bounds of the samples; None where the file's own header will do."""
    offset = start + form.first
    for _ in range(MAX_CHUNKS):
        head = read_at(offset, form.head_bytes)
        if len(head) < form.head_bytes or offset - start > MAX_HEADER_BYTES:
            return None
        own_bytes = form.head_bytes if form.counts_itself else 0
        num_bytes = struct.unpack(form.length, head[form.name_bytes :])[0] - own_bytes
        if head.startswith(b"data") and num_bytes == form.to_end:
            return None
        if head.startswith(b"data"):
            return _with_data(read_at, size_bytes, start, offset, num_bytes, form)
        if not 0 <= num_bytes <= size_bytes:
            return None
        offset += form.head_bytes + num_bytes + -num_bytes % form.align
    return None


def _with_data(
    read_at: ReadAt, size_bytes: int, start: int, offset: int, num_bytes: int, form: Form
) -> tuple[bytes, int, int] | None:
    first = offset + form.head_bytes + form.num_bytes_ahead
    claimed_bytes = max(0, num_bytes - form.num_bytes_ahead)
    if 0 < claimed_bytes <= size_bytes - first and _is_chunk(read_at, size_bytes, first + claimed_bytes, form):
        return None
    length = samples_length(read_at, first, claimed_bytes, size_bytes, form.length[0])
    if length.num_bytes == claimed_bytes or length.is_truncated:
        return None
    own_bytes = form.head_bytes if form.counts_itself else 0
    claim = struct.pack(form.length, length.num_bytes + form.num_bytes_ahead + own_bytes)
    before = read_at(start, offset + form.name_bytes - start)
    return before + claim + bytes(form.num_bytes_ahead), first, first + length.num_bytes


def _is_chunk(read_at: ReadAt, size_bytes: int, offset: int, form: Form) -> bool:
    head = read_at(offset + -offset % form.align, form.head_bytes)
    return (
        len(head) == form.head_bytes
        and is_chunk_name(head[:4])
        and (struct.unpack(form.length, head[form.name_bytes :])[0] <= size_bytes - offset)
    )
