"""MPEG audio frame headers (layers I to III) and ADTS: the two formats that have no signature.

Sources: ISO 11172-3 and 13818-3 for the tables, ISO 13818-7 for ADTS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

ReadAt = Callable[[int, int], bytes]

NUM_FRAMES_ASKED = 3
"""So many frames in a row must fit before bytes without a signature count as audio."""
MIN_LONE_FRAMES = 2
"""Fewer will do only where the file ends behind them."""

MPEG_FORM, ADTS_FORM = b"\xff\xfe\x0c", b"\xff\xff\xfc"
"""The bits of a header that frames of one stream share: version, layer and rate; of ADTS the profile too."""

_KBPS_V1 = {
    1: (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_KBPS_V2 = {
    1: (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    3: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


@dataclass(frozen=True, slots=True)
class MpegFrame:
    """One frame header."""

    num_bytes: int
    num_samples: int
    sample_rate_hz: int
    bits_per_s: int
    side_info_bytes: int
    """Bytes between the header and where a Xing tag would stand."""


def mpeg_frame(header: bytes) -> MpegFrame | None:
    """The frame that begins with these four bytes; None when they are no frame header."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bitrate_index, rate_index, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    # A free bitrate (index 0) gives no frame length, so nothing could be verified.
    if version == 1 or layer == 4 or bitrate_index in (0, 15) or rate_index == 3:
        return None
    bits_per_s = (_KBPS_V1 if version == 3 else _KBPS_V2)[layer][bitrate_index] * 1000
    rate_hz = _RATES_HZ[version][rate_index]
    num_samples = {1: 384, 2: 1152, 3: 1152 if version == 3 else 576}[layer]
    slot_bytes = 4 if layer == 1 else 1
    num_bytes = (num_samples // 8 // slot_bytes * bits_per_s // rate_hz + padding) * slot_bytes
    is_mono = header[3] >> 6 == 3
    side_info_bytes = (17 if is_mono else 32) if version == 3 else (9 if is_mono else 17)
    return MpegFrame(num_bytes, num_samples, rate_hz, bits_per_s, side_info_bytes)


def adts_frame_bytes(header: bytes) -> int | None:
    """Length of the ADTS frame that begins with these seven bytes; None when they are no ADTS header."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return None
    num_bytes = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return num_bytes if num_bytes > 7 else None


def audio_frames_at(read_at: ReadAt, start: int, num_frames: int = NUM_FRAMES_ASKED) -> str | None:
    """`mp3` or `aac` when so many frames of that kind and of one form follow each other from `start` on."""
    if _chains(read_at, start, num_frames, adts_frame_bytes, ADTS_FORM):
        return "aac"
    if _chains(read_at, start, num_frames, mpeg_frame_bytes, MPEG_FORM):
        return "mp3"
    return None


def mpeg_frame_bytes(header: bytes) -> int | None:
    """Length of the MPEG frame that begins with these four bytes; None when they are no frame header."""
    frame = mpeg_frame(header)
    return None if frame is None else frame.num_bytes


def _chains(
    read_at: ReadAt, start: int, num_frames: int, frame_bytes: Callable[[bytes], int | None], form: bytes
) -> bool:
    offset, first_form = start, None
    for num_found in range(num_frames):
        header = read_at(offset, 7)
        if len(header) < 7:
            return num_found >= MIN_LONE_FRAMES
        num_bytes, own_form = frame_bytes(header), bytes(byte & mask for byte, mask in zip(header, form, strict=False))
        if num_bytes is None or own_form != (first_form or own_form):
            return False
        offset, first_form = offset + num_bytes, own_form
    return True
