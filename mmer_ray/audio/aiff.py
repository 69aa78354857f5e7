"""The header of an AIFF or AIFF-C file: its chunks may stand in any order."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from mmer_ray.audio.mpeg import ReadAt
from mmer_ray.audio.samples_length import SamplesLength, samples_length
from mmer_ray.errors import AudioError, ErrorCode

MAX_CHUNKS = 1000
OFFSET_BYTES = 8
"""In front of the samples: where they begin, and a block size."""
_NOT_COMPRESSED = (b"", b"NONE", b"twos", b"sowt")


@dataclass(frozen=True, slots=True)
class AiffHeader:
    """The fields that matter."""

    rate_hz: float
    channels: int
    num_frames: int
    length: SamplesLength
    repair: tuple[bytes, int, int] | None
    """A header to be read in place of one whose lengths are wrong, and the bounds of the samples."""


def read_aiff(read_at: ReadAt, size_bytes: int, start: int) -> AiffHeader:
    """Read a header. Raises `corrupt_header` where it has no COMM or SSND chunk."""
    common, sound = _chunks(read_at, size_bytes, start + 12)
    channels, num_frames, bits, exponent, mantissa = struct.unpack(">hIhHQ", common[:18])
    rate_hz = _extended(exponent, mantissa)
    offset, claimed_bytes = sound
    first = offset + 8 + OFFSET_BYTES
    length = samples_length(read_at, first, max(0, claimed_bytes - OFFSET_BYTES), size_bytes, ">")
    frame_bytes = channels * ((bits + 7) // 8)
    if common[18:22] not in _NOT_COMPRESSED or not frame_bytes:
        return AiffHeader(rate_hz, channels, num_frames, length, None)
    num_frames = length.num_bytes // frame_bytes
    if not length.is_fixed:
        return AiffHeader(rate_hz, channels, num_frames, length, None)
    header = _header(read_at(start, 12), common, num_frames, length.num_bytes)
    return AiffHeader(rate_hz, channels, num_frames, length, (header, first, first + length.num_bytes))


def _chunks(read_at: ReadAt, size_bytes: int, offset: int) -> tuple[bytes, tuple[int, int]]:
    """The COMM chunk's bytes; the SSND chunk's offset and claimed length."""
    common, sound = None, None
    for _ in range(MAX_CHUNKS):
        head = read_at(offset, 8)
        if len(head) < 8:
            break
        name, num_bytes = head[:4], struct.unpack(">I", head[4:])[0]
        if name == b"COMM":
            common = read_at(offset + 8, min(num_bytes, 256))
        elif name == b"SSND":
            sound = offset, num_bytes
        if common is not None and sound is not None:
            return common, sound
        if offset + 8 + num_bytes > size_bytes:
            break
        offset += 8 + num_bytes + num_bytes % 2
    missing = "COMM" if common is None else "SSND"
    raise AudioError(ErrorCode.CORRUPT_HEADER, f"the AIFF header has no {missing} chunk")


def _header(form: bytes, common: bytes, num_frames: int, num_bytes: int) -> bytes:
    common = common[:2] + struct.pack(">I", num_frames) + common[6:]
    common += b"\0" * (len(common) % 2)
    body = form[8:12] + _version(form) + b"COMM" + struct.pack(">I", len(common)) + common
    body += b"SSND" + struct.pack(">III", num_bytes + OFFSET_BYTES, 0, 0)
    return b"FORM" + struct.pack(">I", len(body) + num_bytes) + body


def _version(form: bytes) -> bytes:
    return b"FVER" + struct.pack(">II", 4, 0xA280_5140) if form[8:12] == b"AIFC" else b""


def _extended(exponent: int, mantissa: int) -> float:
    """An 80-bit float, as AIFF stores its rate; 0 for the values that are no rate."""
    shift = (exponent & 0x7FFF) - 16383 - 63
    return mantissa * 2.0**shift if -63 <= shift <= 0 and exponent < 0x8000 else 0.0
