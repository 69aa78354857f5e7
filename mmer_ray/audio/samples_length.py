"""How many bytes of samples a file holds, where the length that its header claims may be wrong.

Recorders that died, writers to a pipe and converters leave lengths that are too small, too large or mere placeholders.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from mmer_ray.audio.mpeg import ReadAt

HEADER_SLACK_BYTES = 64
"""A claim that is larger by so much counts the header too."""
PLACEHOLDER_LOWEST, PLACEHOLDER_HIGHEST = 0x7FFF_0000, 0x8000_0040
UNKNOWN_LOWEST = 0xFFFF_0000
"""Writers to a pipe claim about 2 GiB (sox, espeak, arecord) or 4 GiB (FFmpeg), with or without the header."""
LARGEST_64 = 1 << 62
"""The same in 64 bits."""
MIN_REST_BYTES = 3_200
"""Less behind the claimed samples (0.1 s at 16 kHz) is not worth a click."""
TRIED_BYTES = 1 << 16
MAX_ENTROPY_BITS = 7.9
"""Bytes of samples are not evenly spread, the high ones least; random or compressed bytes have 7.99 of 8 bits."""
MAX_CHUNKS = 100


@dataclass(frozen=True, slots=True)
class SamplesLength:
    """What was found."""

    num_bytes: int
    is_truncated: bool = False
    """The file ends before the length that is claimed."""
    is_fixed: bool = False
    """The claim was wrong and the samples are whole."""


def samples_length(read_at: ReadAt, start: int, claimed_bytes: int, size_bytes: int, order: str) -> SamplesLength:
    """Settle a claim about the samples that begin at `start`.

    `order` is the byte order of chunk lengths, `<` or `>` as for `struct`.
    """
    held_bytes = max(0, size_bytes - start)
    if claimed_bytes == 0:
        is_missing = held_bytes > 0 and not holds_chunks(read_at, start, size_bytes, order)
        return SamplesLength(held_bytes if is_missing else 0, is_fixed=is_missing)
    if claimed_bytes > held_bytes:
        is_placeholder = (
            PLACEHOLDER_LOWEST <= claimed_bytes <= PLACEHOLDER_HIGHEST
            or UNKNOWN_LOWEST <= claimed_bytes <= 0xFFFF_FFFF
            or claimed_bytes >= LARGEST_64
        )
        counts_header = held_bytes > 0 and claimed_bytes - held_bytes <= HEADER_SLACK_BYTES
        return SamplesLength(held_bytes, not is_placeholder and not counts_header, not is_placeholder and counts_header)
    if _rest_is_sound(read_at, start + claimed_bytes, size_bytes, order):
        return SamplesLength(held_bytes, is_fixed=True)
    return SamplesLength(claimed_bytes)


def is_chunk_name(name: bytes) -> bool:
    """Whether four bytes could name a RIFF or IFF chunk."""
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


def holds_chunks(read_at: ReadAt, offset: int, size_bytes: int, order: str) -> bool:
    """Whether chunks follow each other from `offset` to the end of the file, with or without pad bytes."""
    for _ in range(MAX_CHUNKS):
        head = read_at(offset, 8)
        if len(head) < 8:
            return not any(head)
        num_bytes = struct.unpack(order + "I", head[4:])[0]
        if not is_chunk_name(head[:4]) or offset + 8 + num_bytes > size_bytes:
            return False
        offset += 8 + num_bytes
        offset += num_bytes % 2 and not is_chunk_name(read_at(offset, 4))
    return True


def _rest_is_sound(read_at: ReadAt, offset: int, size_bytes: int, order: str) -> bool:
    """Whether the bytes behind the claimed samples are more of them: no chunks, padding, text or noise."""
    if size_bytes - offset < MIN_REST_BYTES:
        return False
    is_recording = read_at(offset, 4) in (b"RIFF", b"FORM")
    if not is_recording and any(holds_chunks(read_at, offset + pad, size_bytes, order) for pad in (0, 1)):
        return False
    # From the middle: padding or a chunk may stand at the beginning.
    middle = read_at(offset + (size_bytes - offset) // 4, TRIED_BYTES)
    counts = np.bincount(np.frombuffer(middle, dtype=np.uint8), minlength=256)
    shares = counts[counts > 0] / len(middle)
    entropy_bits = float(-(shares * np.log2(shares)).sum())
    is_text = counts[0x20:0x7F].sum() + counts[[9, 10, 13]].sum() == len(middle)
    return 0 < entropy_bits < MAX_ENTROPY_BITS and not is_text
