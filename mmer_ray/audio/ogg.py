"""Ogg pages: how long the sound is, whether the last page is whole, and where chained streams begin.

Players and radio recorders write one Ogg stream behind the other into a file. FFmpeg's demuxer gives up where the next
one has other channels, so each is opened by itself. Source: RFC 3533.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from mmer_ray.audio.mpeg import ReadAt

PAGE_HEADER_BYTES = 27
FIRST_PAGE, LAST_PAGE = 2, 4
TAIL_BYTES = 1 << 17
"""Two pages of the largest size (65,307 bytes)."""
HEAD_BYTES = 1 << 16
CHUNK_BYTES = 1 << 20
OPUS_RATE_HZ = 48_000
"""Of Opus' positions, whatever the sound was made from."""
MAX_PAGE_S = 31.0
"""Opus fills a page with at most 255 packets of 120 ms: a first page that ends later was cut out of a longer stream."""
LOOKAHEAD_BYTES = PAGE_HEADER_BYTES + 255 + 8
_CODEC_MARKS = (
    b"OpusHead",
    b"\x01vorbis",
    b"\x7fFLAC",
    b"Speex   ",
    b"fishead\0",
    b"\x80theora",
    b"BBCD\0",
    b"\x80kate",
)


@dataclass(frozen=True, slots=True)
class _Page:
    flags: int
    position: int
    """Samples from the stream's beginning to the end of this page; -1 where no packet ends in it."""
    serial: int
    body: bytes
    """As far as it was read."""


@dataclass(frozen=True, slots=True)
class _Track:
    serial: int
    rate_hz: int
    skipped: int
    """Samples in front that players leave out."""


def claimed_length_s(read_at: ReadAt, size_bytes: int, start: int) -> float | None:
    """Seconds of the first sound track by the position of its last page; reads 192 KiB at most.

    None for a file that has no sound that we know, and for a chain of streams: their lengths are only in their own
    last pages, which lie anywhere in the file.
    """
    head = list(_pages(read_at(start, HEAD_BYTES)))
    first = [page for page in head if page.flags & FIRST_PAGE]
    track = next((track for page in first if (track := _track(page)) is not None), None)
    if track is None:
        return None
    serials = {page.serial for page in first}
    tail = list(_pages(read_at(max(start, size_bytes - TAIL_BYTES), TAIL_BYTES)))
    if any(page.serial not in serials for page in tail[-1:]):
        return None
    positions = [page.position for page in tail if page.serial == track.serial and page.position > 0]
    if not positions:
        return None
    began = next((page.position for page in head if page.serial == track.serial and page.position > 0), 0)
    skipped = began if began > MAX_PAGE_S * track.rate_hz else track.skipped
    return max(0.0, (positions[-1] - skipped) / track.rate_hz)


def _pages(data: bytes) -> Iterator[_Page]:
    """The pages that begin in a stretch of a file."""
    offset = data.find(b"OggS")
    while 0 <= offset <= len(data) - PAGE_HEADER_BYTES:
        version, flags, position, serial, _, _, num_segments = struct.unpack_from("<BBqIIIB", data, offset + 4)
        lacing = data[offset + PAGE_HEADER_BYTES : offset + PAGE_HEADER_BYTES + num_segments]
        # The four bytes may stand in the sound itself, and hardly ever with these two behind them.
        if version == 0 and flags <= 7:
            body = offset + PAGE_HEADER_BYTES + num_segments
            yield _Page(flags, position, serial, data[body : body + sum(lacing)])
            offset = body + sum(lacing) - 4
        offset = data.find(b"OggS", offset + 4)


def _track(page: _Page) -> _Track | None:
    """The sound track that begins with this page; None for other tracks and for rates that cannot be."""
    body = page.body
    skipped = 0
    if body.startswith(b"OpusHead") and len(body) >= 12:
        rate_hz, skipped = OPUS_RATE_HZ, int.from_bytes(body[10:12], "little")
    elif body.startswith(b"\x01vorbis") and len(body) >= 16:
        rate_hz = int.from_bytes(body[12:16], "little")
    elif body.startswith(b"Speex   ") and len(body) >= 40:
        rate_hz = int.from_bytes(body[36:40], "little")
    elif body.startswith(b"\x7fFLAC") and len(body) >= 30:
        rate_hz = int.from_bytes(body[27:30], "big") >> 4
    else:
        return None
    return _Track(page.serial, rate_hz, skipped) if rate_hz else None


def is_cut_off(read_at: ReadAt, size_bytes: int, start: int) -> bool:
    """Whether the file lacks a whole last page that is marked as the end of its stream."""
    tail = read_at(max(start, size_bytes - TAIL_BYTES), TAIL_BYTES)
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < PAGE_HEADER_BYTES or len(page) < PAGE_HEADER_BYTES + page[26]:
        return True
    body_bytes = sum(page[PAGE_HEADER_BYTES : PAGE_HEADER_BYTES + page[26]])
    return len(page) < PAGE_HEADER_BYTES + page[26] + body_bytes or not page[5] & LAST_PAGE


def chain_starts(read_at: ReadAt, size_bytes: int, start: int) -> list[int]:
    """Offsets at which the streams of a chain begin; the first is `start`.

    Streams that run side by side (sound and film) begin with their first pages in a row, which is one start.
    """
    starts, follows_first_page = [start], True
    for base in range(start, size_bytes, CHUNK_BYTES):
        chunk = read_at(base, CHUNK_BYTES + LOOKAHEAD_BYTES)
        position = chunk.find(b"OggS")
        while 0 <= position < CHUNK_BYTES:
            is_first_page = _is_first_page(chunk[position : position + LOOKAHEAD_BYTES])
            if is_first_page and not follows_first_page:
                starts.append(base + position)
            follows_first_page = is_first_page
            position = chunk.find(b"OggS", position + 4)
    return starts


def _is_first_page(page: bytes) -> bool:
    # The bytes OggS may stand in the sound itself; a codec's mark behind them does not.
    if len(page) < PAGE_HEADER_BYTES or not page[5] & FIRST_PAGE:
        return False
    return page[PAGE_HEADER_BYTES + page[26] :].startswith(_CODEC_MARKS)
