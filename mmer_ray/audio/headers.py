"""What the header claims, read by us before FFmpeg sees the file, and the limits on it.

Lengths that a header claims decide nothing but a refusal: what counts is what was decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from mmer_ray.audio.limits import check_limits
from mmer_ray.audio.mpeg import mpeg_frame
from mmer_ray.audio.ogg import chain_starts, is_cut_off
from mmer_ray.audio.sniff import ReadAt, Sniffed
from mmer_ray.audio.wav import read_wav
from mmer_ray.errors import AudioError, ErrorCode

MIN_FLAC_FRAME_BYTES = 10
"""Sync, header, one constant subframe, CRCs: no FLAC frame is smaller."""
MIN_BYTES_PER_S = 0.5
"""A claim of more seconds than this allows is no claim; the leanest real file, FLAC of silence at 4 kHz, has 0.7."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a header says about the audio behind it."""

    duration_s: float | None = None
    """None when the header is silent or says something impossible."""
    is_exact: bool = True
    """False for an estimate from a bitrate."""
    is_truncated: bool = False
    """The file ends before the length that is claimed."""
    is_fixed: bool = False
    """The length that is claimed cannot be right, or is missing where it must be given."""
    repair: tuple[bytes, int, int] | None = None
    """A header to be read in place of the file's, and from where to where the samples lie behind it."""
    md5: bytes | None = None
    """Of the decoded samples, FLAC only."""
    bits: int = 0
    """Bits per sample, FLAC only."""
    chain: tuple[int, ...] = ()
    """Offsets of the streams that follow each other in the file, Ogg only."""


def read_claims(read_at: ReadAt, size_bytes: int, sniffed: Sniffed) -> Claims:
    """Read the header of a format we know; `Claims()` for the others. Raises `AudioError` beyond the limits."""
    reader = _READERS.get(sniffed.container)
    if reader is None:
        return Claims()
    try:
        return reader(read_at, size_bytes, sniffed.start)
    except (struct.error, IndexError) as exc:
        raise AudioError(ErrorCode.CORRUPT_HEADER, f"the {sniffed.container} header is cut short") from exc


def plausible(duration_s: float, size_bytes: int) -> bool:
    return 0 <= duration_s * MIN_BYTES_PER_S <= size_bytes


def _wav(read_at: ReadAt, size_bytes: int, start: int) -> Claims:
    wav = read_wav(read_at, size_bytes, start)
    check_limits(wav.rate_hz, wav.channels)
    # A broken average (bytes per second) of a compressed format must not become a length.
    duration_s = wav.data_bytes / wav.bytes_per_s if wav.bytes_per_s else None
    return Claims(
        duration_s=duration_s,
        is_exact=wav.is_pcm,
        is_truncated=wav.is_truncated,
        is_fixed=wav.lacks_length,
    )


def _flac(read_at: ReadAt, size_bytes: int, start: int) -> Claims:
    info = read_at(start + 4, 38)
    if len(info) < 38 or info[0] & 0x7F != 0:
        raise AudioError(ErrorCode.CORRUPT_HEADER, "the FLAC header has no STREAMINFO block")
    max_block_samples = struct.unpack(">H", info[6:8])[0]
    packed = int.from_bytes(info[14:22], "big")
    rate_hz, channels = packed >> 44, (packed >> 41 & 7) + 1
    bits, num_samples = (packed >> 36 & 31) + 1, packed & (1 << 36) - 1
    check_limits(rate_hz, channels)
    needed_bytes = num_samples / max(max_block_samples, 16) * MIN_FLAC_FRAME_BYTES
    is_impossible = needed_bytes > size_bytes
    md5 = info[22:38]
    return Claims(
        duration_s=num_samples / rate_hz if num_samples and not is_impossible else None,
        is_fixed=is_impossible,
        md5=md5 if any(md5) else None,
        bits=bits,
    )


def _aiff(read_at: ReadAt, size_bytes: int, start: int) -> Claims:
    offset, duration_s, is_truncated = start + 12, None, False
    while len(head := read_at(offset, 8)) == 8:
        name, num_bytes = head[:4], struct.unpack(">I", head[4:])[0]
        if name == b"COMM":
            channels, num_frames, _bits, exponent, mantissa = struct.unpack(">hIhHQ", read_at(offset + 8, 18))
            check_limits(int(_extended(exponent, mantissa)), channels)
            duration_s = num_frames / _extended(exponent, mantissa)
        if name == b"SSND":
            is_truncated = offset + 8 + num_bytes > size_bytes
            break
        offset += 8 + num_bytes + num_bytes % 2
    if duration_s is None:
        raise AudioError(ErrorCode.CORRUPT_HEADER, "the AIFF header has no COMM chunk before its samples")
    return Claims(duration_s=duration_s, is_truncated=is_truncated)


def _extended(exponent: int, mantissa: int) -> float:
    """An 80-bit float, as AIFF stores its rate; 0 for the values that are no rate."""
    shift = (exponent & 0x7FFF) - 16383 - 63
    return mantissa * 2.0**shift if -63 <= shift <= 0 and exponent < 0x8000 else 0.0


def _mp3(read_at: ReadAt, size_bytes: int, start: int) -> Claims:
    head = read_at(start, 256)
    frame = mpeg_frame(head)
    if frame is None:
        return Claims()
    tag = head[4 + frame.side_info_bytes :]
    if tag[:4] in (b"Xing", b"Info") and tag[7] & 1:
        num_frames = struct.unpack(">I", tag[8:12])[0]
    elif head[36:40] == b"VBRI":
        num_frames = struct.unpack(">I", head[50:54])[0]
    else:
        return Claims(duration_s=(size_bytes - start) * 8 / frame.bits_per_s, is_exact=False)
    return Claims(duration_s=num_frames * frame.num_samples / frame.sample_rate_hz)


def _ogg(read_at: ReadAt, size_bytes: int, start: int) -> Claims:
    starts = chain_starts(read_at, size_bytes, start)
    return Claims(is_truncated=is_cut_off(read_at, size_bytes, start), chain=tuple(starts))


_READERS: dict[str, Callable[[ReadAt, int, int], Claims]] = {
    "wav": _wav,
    "flac": _flac,
    "aiff": _aiff,
    "mp3": _mp3,
    "ogg": _ogg,
}
