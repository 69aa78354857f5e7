"""Telling what a file is from its first bytes: an allow-list of audio containers.

The name of a file is never asked, except to say that it does not fit. Formats that name other files or hosts
(playlists, concat scripts, session descriptions) are refused by name: FFmpeg would follow them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from mmer_ray.audio.leading import after_tags, after_wrappers, after_zeros, find_sound
from mmer_ray.audio.mpeg import ReadAt, audio_frames_at
from mmer_ray.errors import AudioError, ErrorCode, Flag

HEAD_BYTES = 4096
MIN_CUT_BYTES, MAX_CUT_BYTES = 16, 2048
"""So many bytes in front of the first frame are the rest of one that was cut: the largest MPEG frame has 1,440."""


@dataclass(frozen=True, slots=True)
class Sniffed:
    """What the bytes are."""

    container: str
    demuxer: str
    """FFmpeg's name for the demuxer that is forced."""
    start: int = 0
    """Bytes in front of the container: a tag, zeros, a host's header, the rest of a frame."""
    flags: frozenset[Flag] = frozenset()
    """`header_fixed` where the bytes in front do not belong there, `truncated` where they are the rest of a frame."""


_EXTENSIONS = {
    "wav": {"wav", "wave", "bwf", "rf64"},
    "w64": {"w64"},
    "flac": {"flac"},
    "ogg": {"ogg", "oga", "ogv", "opus", "spx"},
    "mp3": {"mp3", "mp2", "mpga", "mpa"},
    "aac": {"aac", "adts"},
    "mov": {"m4a", "m4b", "mp4", "m4v", "mov", "3gp", "3g2", "aac", "alac"},
    "matroska": {"webm", "mkv", "mka", "weba"},
    "amr": {"amr", "awb", "3gp"},
    "aiff": {"aif", "aiff", "aifc"},
    "caf": {"caf"},
    "au": {"au", "snd"},
    "asf": {"wma", "wmv", "asf"},
    "avi": {"avi"},
    "wavpack": {"wv"},
    "ape": {"ape"},
    "tta": {"tta"},
    "flv": {"flv"},
    "mpeg": {"mpg", "mpeg", "vob"},
    "mpegts": {"ts", "mts", "m2ts"},
    "ac3": {"ac3"},
    "voc": {"voc"},
    "sphere": {"sph", "nist", "wav"},
}
_DEMUXERS = {"sphere": "nistsphere", "wavpack": "wv"}
AUDIO_EXTENSIONS = frozenset().union(*_EXTENSIONS.values())

_PREFIXES = (
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"#!AMR\n", "amr"),
    (b"#!AMR-WB\n", "amr"),
    (b"caff", "caf"),
    (b".snd", "au"),
    (b"riff\x2e\x91\xcf\x11", "w64"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (b"wvpk", "wavpack"),
    (b"MAC ", "ape"),
    (b"TTA1", "tta"),
    (b"FLV\x01", "flv"),
    (b"\x00\x00\x01\xba", "mpeg"),
    (b"\x0b\x77", "ac3"),
    (b"Creative Voice File\x1a", "voc"),
    (b"NIST_1A\n", "sphere"),
)
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM")
_FOLLOWED = (b"#extm3u", b"ffconcat", b"[playlist]", b"<asx", b"<smil", b"#ext-x-")
_RIFF_IDS = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_MOV_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


def sniff(read_at: ReadAt, size_bytes: int) -> Sniffed:
    """The container in these bytes. Raises `AudioError`: `forbidden_format`, `no_audio_stream` for pictures,
    `corrupt_header` for a tag that runs past the end, else `unrecognised`."""
    start = after_tags(read_at, size_bytes, 0)
    found = _sniffed_at(read_at, start) or _sniffed_behind_zeros(read_at, size_bytes, start)
    if found is None:
        behind = after_wrappers(read_at, size_bytes, start)
        found = _sniffed_at(read_at, behind) if behind > start else None
        found = found or _sniffed_behind_junk(read_at, behind)
        found = found and replace(found, flags=found.flags | {Flag.HEADER_FIXED})
    if found is not None:
        return found
    head = read_at(start, HEAD_BYTES)
    if head.startswith(_PICTURES[:4]):
        raise AudioError(ErrorCode.NO_AUDIO_STREAM, "the file is a picture")
    raise AudioError(ErrorCode.UNRECOGNISED, f"no audio format begins with the bytes {head[:8].hex(' ')}")


def _sniffed_at(read_at: ReadAt, start: int) -> Sniffed | None:
    head = read_at(start, HEAD_BYTES)
    _refuse_followed(head)
    container = _by_prefix(head) or audio_frames_at(read_at, start)
    return None if container is None else _sniffed(container, start)


def _sniffed_behind_zeros(read_at: ReadAt, size_bytes: int, start: int) -> Sniffed | None:
    if read_at(start, 1) != b"\x00":
        return None
    behind = after_tags(read_at, size_bytes, after_zeros(read_at, start))
    container = audio_frames_at(read_at, behind)
    return None if container is None else _sniffed(container, behind)


def _sniffed_behind_junk(read_at: ReadAt, start: int) -> Sniffed | None:
    found = find_sound(read_at, start)
    if found is None:
        return None
    container, offset = found
    junk = read_at(start, min(offset - start, MAX_CUT_BYTES))
    is_cut = container in ("mp3", "aac") and MIN_CUT_BYTES <= len(junk) < MAX_CUT_BYTES and b"ID3" not in junk
    return replace(_sniffed(container, offset), flags=frozenset({Flag.TRUNCATED} if is_cut else ()))


def _sniffed(container: str, start: int) -> Sniffed:
    return Sniffed(container, _DEMUXERS.get(container, container), start)


def mislabelled(name: str, container: str) -> bool:
    """Whether a file's extension belongs to other formats than the one found inside."""
    extension = PurePosixPath(name).suffix.lower().lstrip(".")
    return extension in AUDIO_EXTENSIONS and extension not in _EXTENSIONS[container]


def _by_prefix(head: bytes) -> str | None:
    for prefix, container in _PREFIXES:
        if head.startswith(prefix):
            return container
    if head[:4] in _RIFF_IDS and len(head) >= 12:
        return {b"WAVE": "wav", b"AVI ": "avi"}.get(head[8:12])
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[4:8] in _MOV_ATOMS:
        return "mov"
    # Transport streams have no signature but a sync byte at the start of every 188-byte packet.
    if len(head) > 188 * 4 and all(head[i] == 0x47 for i in range(0, 188 * 5, 188) if i < len(head)):
        return "mpegts"
    return None


def _refuse_followed(head: bytes) -> None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    is_session = text.startswith(b"v=0") and b"\no=" in text
    is_dash = text.startswith(b"<") and b"<mpd" in text
    if text.startswith(_FOLLOWED) or is_session or is_dash:
        raise AudioError(ErrorCode.FORBIDDEN_FORMAT, "playlists and scripts that name other files are not followed")
