"""A first look at the bytes of a clip: whether they are audio at all, and how long it may be. Nothing is decoded."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from mmer_ray.audio.headers import plausible, read_claims
from mmer_ray.audio.mpeg import ReadAt
from mmer_ray.audio.ogg import claimed_length_s
from mmer_ray.audio.sniff import Sniffed, sniff
from mmer_ray.errors import AudioError, ErrorCode
from mmer_ray.serving.api_errors import ApiError

NO_AUDIO = frozenset({ErrorCode.UNRECOGNISED, ErrorCode.FORBIDDEN_FORMAT, ErrorCode.NO_AUDIO_STREAM})
"""What makes the bytes another medium (415) instead of bad audio (422)."""
GUESSED_COMPRESSED_BYTES_PER_S = 8_000
"""64 kbit/s: the length of compressed audio whose header is not read here is guessed from its size."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the head of a clip says."""

    container: str
    seconds: float
    """What its header claims and its size allows, else a guess from the size."""
    size_bytes: int
    claimed_s: float | None = None
    """What the header claims and the size allows; None where it is silent or cannot be right."""


async def looked_at(sound: bytes | Path) -> Look:
    """Look at a clip in a thread. Raises `ApiError`: 415 for what is no audio, 422 for a header that is broken."""
    try:
        return await asyncio.to_thread(look, sound)
    except AudioError as error:
        status = 415 if error.code in NO_AUDIO else 422
        raise ApiError(status, error.code.value, error.message, "file") from error


def look(sound: bytes | Path) -> Look:
    """Look at a clip. Raises `AudioError`."""
    if isinstance(sound, Path):
        fd = os.open(sound, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _look(lambda offset, num_bytes: os.pread(fd, num_bytes, offset), os.fstat(fd).st_size)
        finally:
            os.close(fd)
    return _look(lambda offset, num_bytes: sound[offset : offset + num_bytes], len(sound))


def _look(read_at: ReadAt, size_bytes: int) -> Look:
    if not size_bytes:
        raise AudioError(ErrorCode.EMPTY_FILE, "the file has no bytes")
    sniffed = sniff(read_at, size_bytes)
    claimed_s = _claimed_s(read_at, size_bytes, sniffed)
    if claimed_s is not None and not plausible(claimed_s, size_bytes):
        claimed_s = None
    seconds = size_bytes / GUESSED_COMPRESSED_BYTES_PER_S if claimed_s is None else claimed_s
    return Look(sniffed.container, seconds, size_bytes, claimed_s)


def _claimed_s(read_at: ReadAt, size_bytes: int, sniffed: Sniffed) -> float | None:
    if sniffed.container == "ogg":
        return claimed_length_s(read_at, size_bytes, sniffed.start)
    return read_claims(read_at, size_bytes, sniffed).duration_s
