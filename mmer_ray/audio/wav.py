"""The header of a WAV file (RIFF, RIFX, RF64, BW64), read chunk by chunk with every length checked against the file."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from mmer_ray.audio.sniff import ReadAt
from mmer_ray.errors import AudioError, ErrorCode

STREAMED = 0xFFFF_FFFF
"""Data size of a writer that could not seek back: everything up to the end of the file."""
MAX_CHUNKS = 1000
"""More chunks before the samples than any tool writes; a bound on the walk."""

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
_BITS = {PCM: (8, 12, 16, 20, 24, 32, 64), FLOAT: (32, 64)}
_CHUNKS_AFTER_DATA = (b"LIST", b"id3 ", b"ID3 ", b"bext", b"fact", b"cue ", b"smpl", b"iXML", b"_PMX", b"JUNK")


@dataclass(frozen=True, slots=True)
class WavHeader:
    """The fields that matter, lengths cut down to what the file holds."""

    rate_hz: int
    channels: int
    bytes_per_s: int
    is_pcm: bool
    data_bytes: int
    is_truncated: bool
    lacks_length: bool
    """The data chunk says 0 bytes and samples follow."""


def read_wav(read_at: ReadAt, size_bytes: int, start: int) -> WavHeader:
    order = ">" if read_at(start, 4) == b"RIFX" else "<"
    offset, fmt, data_bytes_64 = start + 12, None, None
    for _ in range(MAX_CHUNKS):
        head = read_at(offset, 8)
        if len(head) < 8:
            break
        name, num_bytes = head[:4], struct.unpack(order + "I", head[4:])[0]
        if name == b"data":
            if fmt is None:
                raise AudioError(ErrorCode.CORRUPT_HEADER, "the samples come before the fmt chunk")
            if data_bytes_64 is not None and num_bytes == STREAMED:
                num_bytes = data_bytes_64
            return _with_data(fmt, order, num_bytes, read_at(offset + 8, 4), size_bytes - offset - 8)
        if offset + 8 + num_bytes > size_bytes:
            label = name.decode("ascii", "replace")
            raise AudioError(ErrorCode.CORRUPT_HEADER, f"chunk {label!r} of {num_bytes} bytes runs past the end")
        if name == b"fmt ":
            fmt = read_at(offset + 8, min(num_bytes, 40))
        elif name == b"ds64":
            data_bytes_64 = struct.unpack("<Q", read_at(offset + 16, 8))[0]
        offset += 8 + num_bytes + num_bytes % 2
    raise AudioError(ErrorCode.CORRUPT_HEADER, "the file ends before a data chunk")


def _with_data(fmt: bytes, order: str, claimed_bytes: int, first_bytes: bytes, held_bytes: int) -> WavHeader:
    tag, channels, rate_hz, bytes_per_s, _align, bits = struct.unpack(order + "HHIIHH", fmt[:16])
    if tag == EXTENSIBLE and len(fmt) >= 26:
        tag = struct.unpack(order + "H", fmt[24:26])[0]
    if tag in _BITS and bits not in _BITS[tag]:
        raise AudioError(ErrorCode.CORRUPT_HEADER, f"{bits} bits a sample; known are {_BITS[tag]}")
    if tag in _BITS:
        bytes_per_s = rate_hz * channels * ((bits + 7) // 8)
    lacks_length = claimed_bytes == 0 and held_bytes > 0 and first_bytes not in _CHUNKS_AFTER_DATA
    return WavHeader(
        rate_hz=rate_hz,
        channels=channels,
        bytes_per_s=bytes_per_s,
        is_pcm=tag in _BITS,
        data_bytes=held_bytes if lacks_length else min(claimed_bytes, held_bytes),
        is_truncated=held_bytes < claimed_bytes != STREAMED,
        lacks_length=lacks_length,
    )
