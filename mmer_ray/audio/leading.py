"""What stands in front of the sound in files from hosts, taggers and cut streams, and where the sound begins.

Skipped by their own structure: ID3v2 tags, zeros, APEv2 tags, the header of an HTTP or MIME message. Other bytes are
searched, within a bound, for frames that follow each other. Text and known other formats are not searched: an archive
or a page that holds sound is no recording.
"""

from __future__ import annotations

import re
import struct

from mmer_ray.audio.mpeg import ReadAt, audio_frames_at
from mmer_ray.errors import AudioError, ErrorCode

BLOCK_BYTES = 4096
MAX_LEADING_ZEROS_BYTES = 1 << 20
"""Zeros in front of the first MPEG frame that are skipped; cut-off uploads and recorders leave some."""
MAX_WRAPPERS = 8
"""Tags and headers behind each other."""
MAX_MESSAGE_HEADER_BYTES = 16 << 10
MAX_JUNK_BYTES = 256 << 10
"""The largest MPEG or ADTS frame has 8 KB; a tag that is longer than it says leaves a picture."""
NUM_FRAMES_BEHIND_JUNK = 4
"""So many frames of one form in a row are no accident: a mebibyte of random bytes has them once in 10^9 files."""
MAX_JUNK_BEFORE_SIGNATURE_BYTES = 4096
"""Other containers have signatures of a few bytes, which chance finds sooner."""
MIN_TEXT_CHARS = 32
TS_PACKET_BYTES, TS_SYNC, NUM_TS_PACKETS = 188, 0x47, 8

_MESSAGE = re.compile(rb"HTTP/\d|ICY \d|(GET|POST|PUT|SOURCE) /|--[^\s]{1,70}\r?\n|[A-Za-z][A-Za-z-]{0,39}:[ \t]")
"""The first line of an answer, a request, a part of an upload, or a bare header."""
_SIGNATURES = (
    (re.compile(rb"(RIFF|RIFX|RF64|BW64)....WAVE", re.DOTALL), "wav"),
    (re.compile(rb"fLaC\x00\x00\x00\x22"), "flac"),
    (re.compile(rb"OggS\x00[\x02\x06]"), "ogg"),
    (re.compile(rb"\x00\x00..ftyp", re.DOTALL), "mov"),
    (re.compile(rb"\x1a\x45\xdf\xa3.{1,48}(webm|matroska)", re.DOTALL), "matroska"),
    (re.compile(rb"FORM....AIF[FC]", re.DOTALL), "aiff"),
    (re.compile(rb"#!AMR(-WB)?\n"), "amr"),
    (re.compile(rb"caff\x00\x01\x00\x00desc"), "caf"),
    (re.compile(rb"\.snd\x00\x00.."), "au"),
)
_APE_TAG, _APE_HEADER_BYTES = b"APETAGEX", 32
_ID3V1_TAG, _ID3V1_BYTES = b"TAG", 128
"""Belongs at the end; stands in front where files were joined and cut."""
_ARCHIVES = (b"PK", b"\x1f\x8b", b"BZh", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
_DOCUMENTS = (b"%PDF", b"\xd0\xcf\x11\xe0", b"SQLite format 3", b"<", b"{", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_OTHER_FORMATS = (*_ARCHIVES, *_DOCUMENTS, b"\x7fELF", b"MZ", b"FWS", b"CWS", b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
"""Archives, documents, programs, pages, texts, pictures: what they hold is not looked for."""


def after_tags(read_at: ReadAt, size_bytes: int, start: int) -> int:
    """Where the bytes go on behind the ID3v2 tags that stand at `start`; some files have two.

    Raises `corrupt_header` for a tag that runs past the end.
    """
    while (tag := read_at(start, 10))[:3] == b"ID3" and len(tag) == 10:
        tag_bytes = sum((byte & 0x7F) << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True))
        start += 10 + tag_bytes + (10 if tag[5] & 0x10 else 0)
        if start >= size_bytes:
            raise AudioError(ErrorCode.CORRUPT_HEADER, f"an ID3 tag of {tag_bytes} bytes runs past the end of the file")
    return start


def after_zeros(read_at: ReadAt, start: int) -> int:
    """Where the first byte that is not zero stands, if it is near."""
    for offset in range(start, start + MAX_LEADING_ZEROS_BYTES, BLOCK_BYTES):
        block = read_at(offset, BLOCK_BYTES)
        stripped = block.lstrip(b"\x00")
        if stripped or not block:
            return offset + len(block) - len(stripped)
    return start


def after_wrappers(read_at: ReadAt, size_bytes: int, start: int) -> int:
    """Where the bytes go on behind APE and ID3 tags and message headers."""
    for _ in range(MAX_WRAPPERS):
        behind = start + _ID3V1_BYTES if read_at(start, 3) == _ID3V1_TAG else start
        behind = after_tags(read_at, size_bytes, _after_message(read_at, _after_ape_tag(read_at, behind)))
        if behind == start or behind >= size_bytes:
            return start
        start = behind
    return start


def find_sound(read_at: ReadAt, start: int) -> tuple[str, int] | None:
    """The kind of sound that begins within the bounds behind bytes of no known form, and where."""
    junk = read_at(start, MAX_JUNK_BYTES)
    if junk.startswith(_OTHER_FORMATS) or _is_text(junk):
        return None
    near = junk[:MAX_JUNK_BEFORE_SIGNATURE_BYTES]
    found = [(match.start(), kind) for signature, kind in _SIGNATURES if (match := signature.search(near))]
    if found:
        offset, kind = min(found)
        return kind, start + offset
    sync = _transport_sync(junk)
    return ("mpegts", start + sync) if sync is not None else _find_frames(read_at, start, junk)


def _find_frames(read_at: ReadAt, start: int, junk: bytes) -> tuple[str, int] | None:
    offset = junk.find(b"\xff")
    while offset >= 0:
        kind = audio_frames_at(read_at, start + offset, NUM_FRAMES_BEHIND_JUNK)
        if kind is not None:
            return kind, start + offset
        offset = junk.find(b"\xff", offset + 1)
    return None


def _transport_sync(junk: bytes) -> int | None:
    """Where whole packets of a transport stream begin that was cut inside one."""
    for offset in range(TS_PACKET_BYTES):
        marks = junk[offset : offset + TS_PACKET_BYTES * NUM_TS_PACKETS : TS_PACKET_BYTES]
        if marks == bytes([TS_SYNC]) * NUM_TS_PACKETS:
            return offset
    return None


def _after_ape_tag(read_at: ReadAt, start: int) -> int:
    head = read_at(start, _APE_HEADER_BYTES)
    if len(head) < _APE_HEADER_BYTES or not head.startswith(_APE_TAG):
        return start
    # The size counts items and footer, not this header. Source: APEv2 specification, tag header.
    num_bytes = int(struct.unpack("<I", head[12:16])[0])
    return start + _APE_HEADER_BYTES + num_bytes


def _after_message(read_at: ReadAt, start: int) -> int:
    """A header of lines ends with an empty one."""
    head = read_at(start, MAX_MESSAGE_HEADER_BYTES)
    if not _MESSAGE.match(head):
        return start
    ends = [position + len(end) for end in (b"\r\n\r\n", b"\n\n") if (position := head.find(end)) >= 0]
    return start + min(ends) if ends else start


def _is_text(head: bytes) -> bool:
    return all(byte in b"\t\r\n" or 0x20 <= byte < 0x7F for byte in head[:MIN_TEXT_CHARS])
