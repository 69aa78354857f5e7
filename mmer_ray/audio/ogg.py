"""Ogg pages: whether the last one is whole, and where chained streams begin.

Players and radio recorders write one Ogg stream behind the other into a file. FFmpeg's demuxer gives up where the next
one has other channels, so each is opened by itself. Source: RFC 3533.
"""

from __future__ import annotations

from mmer_ray.audio.mpeg import ReadAt

PAGE_HEADER_BYTES = 27
FIRST_PAGE, LAST_PAGE = 2, 4
TAIL_BYTES = 1 << 17
"""Two pages of the largest size (65,307 bytes)."""
CHUNK_BYTES = 1 << 20
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
