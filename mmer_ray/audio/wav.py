"""The header of a WAV file (RIFF, RIFX, RF64, BW64), read chunk by chunk with every length checked against the file."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from mmer_ray.audio.mpeg import ReadAt
from mmer_ray.audio.samples_length import SamplesLength, samples_length
from mmer_ray.errors import AudioError, ErrorCode

STREAMED = 0xFFFF_FFFF
"""Data size of a writer that could not seek back, and of RF64, which keeps it elsewhere."""
MAX_CHUNKS = 1000
"""More chunks before the samples than any tool writes; a bound on the walk."""

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
_BITS = {PCM: (8, 12, 16, 20, 24, 32, 64), FLOAT: (32, 64)}
_KNOWN_CHUNKS = (b"data", b"fmt ", b"fact", b"LIST", b"bext", b"cue ", b"smpl", b"iXML", b"JUNK", b"PEAK", b"id3 ")


@dataclass(frozen=True, slots=True)
class WavHeader:
    """The fields that matter, lengths cut down to what the file holds."""

    rate_hz: int
    channels: int
    bytes_per_s: int
    is_pcm: bool
    length: SamplesLength
    repair: tuple[bytes, int, int] | None
    """A header to be read in place of the file's where FFmpeg would misread that, and the bounds of the samples."""


@dataclass(slots=True)
class _Walk:
    """What the chunks up to the samples said."""

    offset: int
    fmt: bytes | None = None
    data_bytes_64: int | None = None
    data: tuple[int, int] | None = None
    """Where the samples begin, and the length that is claimed."""
    lacks_padding: bool = False
    """A chunk of odd length without the pad byte that must follow it."""
    is_backwards: bool = False
    """The samples come before their format."""

    def skip(self, read_at: ReadAt, num_bytes: int) -> None:
        """Go on behind a chunk of so many bytes."""
        self.offset += 8 + num_bytes
        if num_bytes % 2 and read_at(self.offset, 4) in _KNOWN_CHUNKS:
            self.lacks_padding = True
        else:
            self.offset += num_bytes % 2


def read_wav(read_at: ReadAt, size_bytes: int, start: int) -> WavHeader:
    """Read a header. Raises `corrupt_header` where it leads to no samples."""
    form = read_at(start, 4)
    order = ">" if form == b"RIFX" else "<"
    walk = _Walk(start + 12)
    for _ in range(MAX_CHUNKS):
        head = read_at(walk.offset, 8)
        if len(head) < 8:
            break
        name, num_bytes = head[:4], struct.unpack(order + "I", head[4:])[0]
        if name == b"data":
            walk.data, walk.is_backwards = (walk.offset + 8, num_bytes), walk.fmt is None
            if walk.fmt is not None:
                return _with_data(read_at, walk, walk.fmt, walk.data, order, size_bytes)
        if walk.offset + 8 + num_bytes > size_bytes:
            label = name.decode("ascii", "replace")
            raise AudioError(ErrorCode.CORRUPT_HEADER, f"chunk {label!r} of {num_bytes} bytes runs past the end")
        if name == b"fmt ":
            walk.fmt = read_at(walk.offset + 8, min(num_bytes, 40))
            if walk.data is not None:
                return _with_data(read_at, walk, walk.fmt, walk.data, order, size_bytes)
        elif name == b"ds64":
            walk.data_bytes_64 = struct.unpack("<Q", read_at(walk.offset + 16, 8))[0]
        walk.skip(read_at, num_bytes)
    missing = "a data chunk" if walk.data is None else "a fmt chunk"
    raise AudioError(ErrorCode.CORRUPT_HEADER, f"the file ends before {missing}")


def _with_data(
    read_at: ReadAt, walk: _Walk, fmt: bytes, data: tuple[int, int], order: str, size_bytes: int
) -> WavHeader:
    start, claimed_bytes = data
    if walk.data_bytes_64 and claimed_bytes == STREAMED:
        claimed_bytes = walk.data_bytes_64
    tag, channels, rate_hz, bytes_per_s, _align, bits = struct.unpack(order + "HHIIHH", fmt[:16])
    if tag == EXTENSIBLE and len(fmt) >= 26:
        tag = struct.unpack(order + "H", fmt[24:26])[0]
    if tag in _BITS and bits not in _BITS[tag]:
        raise AudioError(ErrorCode.CORRUPT_HEADER, f"{bits} bits a sample; known are {_BITS[tag]}")
    if tag in _BITS:
        bytes_per_s = rate_hz * channels * ((bits + 7) // 8)
    # Chunks behind the samples were found by their length, so it holds.
    length = (
        SamplesLength(claimed_bytes)
        if walk.is_backwards
        else samples_length(read_at, start, claimed_bytes, size_bytes, order)
    )
    is_misread = walk.lacks_padding or walk.is_backwards or length.num_bytes > claimed_bytes
    is_misread |= walk.data_bytes_64 is not None and walk.data_bytes_64 != length.num_bytes
    repair = (_header(order, fmt, length.num_bytes), start, start + length.num_bytes) if is_misread else None
    return WavHeader(rate_hz, channels, bytes_per_s, tag in _BITS, length, repair)


def _header(order: str, fmt: bytes, num_bytes: int) -> bytes:
    """The shortest header for these samples."""
    claimed = struct.pack(order + "I", min(num_bytes, STREAMED))
    body = b"WAVEfmt " + struct.pack(order + "I", len(fmt)) + fmt + b"data" + claimed
    return (b"RIFX" if order == ">" else b"RIFF") + struct.pack(order + "I", STREAMED) + body
