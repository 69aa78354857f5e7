"""What the header claims, read by us before FFmpeg sees the file, and the limits on it.

Lengths that a header claims decide nothing but a refusal: what counts is what was decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from mmer_ray.audio.aiff import read_aiff
from mmer_ray.audio.limits import check_limits
from mmer_ray.audio.mpeg import ReadAt, mpeg_frame
from mmer_ray.audio.ogg import chain_starts, is_cut_off
from mmer_ray.audio.samples_length import samples_length
from mmer_ray.audio.sniff import Sniffed
from mmer_ray.audio.wav import read_wav
from mmer_ray.audio.wide_headers import CAF, W64, repaired
from mmer_ray.errors import AudioError, ErrorCode

AU_SAMPLE_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}
"""By the encoding's number: mu-law, 8 to 32 bits, floats, A-law."""
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
    duration_s = wav.length.num_bytes / wav.bytes_per_s if wav.bytes_per_s else None
    return Claims(
        duration_s=duration_s,
        is_exact=wav.is_pcm,
        is_truncated=wav.length.is_truncated,
        is_fixed=wav.length.is_fixed or wav.repair is not None,
        repair=wav.repair,
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
    aiff = read_aiff(read_at, size_bytes, start)
    check_limits(int(aiff.rate_hz), aiff.channels)
    return Claims(
        duration_s=aiff.num_frames / aiff.rate_hz,
        is_truncated=aiff.length.is_truncated,
        is_fixed=aiff.repair is not None,
        repair=aiff.repair,
    )


def _au(read_at: ReadAt, size_bytes: int, start: int) -> Claims:
    offset, claimed_bytes, encoding, rate_hz, channels = struct.unpack(">5I", read_at(start + 4, 20))
    check_limits(rate_hz, channels)
    sample_bytes = AU_SAMPLE_BYTES.get(encoding)
    if sample_bytes is None:
        return Claims()
    # FFmpeg reads to the end of the file whatever is claimed.
    length = samples_length(read_at, start + offset, claimed_bytes or size_bytes - start - offset, size_bytes, ">")
    duration_s = max(0, size_bytes - start - offset) / (rate_hz * channels * sample_bytes)
    return Claims(duration_s=duration_s, is_truncated=length.is_truncated, is_fixed=length.is_fixed)


def _w64(read_at: ReadAt, size_bytes: int, start: int) -> Claims:
    repair = repaired(read_at, size_bytes, start, W64)
    return Claims(is_fixed=repair is not None, repair=repair)


def _caf(read_at: ReadAt, size_bytes: int, start: int) -> Claims:
    # Compressed sound is found by a table of packets, not by a length.
    is_plain = read_at(start + 8, 4) == b"desc" and read_at(start + 28, 4) == b"lpcm"
    repair = repaired(read_at, size_bytes, start, CAF) if is_plain else None
    return Claims(is_fixed=repair is not None, repair=repair)


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
    "au": _au,
    "w64": _w64,
    "caf": _caf,
    "mp3": _mp3,
    "ogg": _ogg,
}
