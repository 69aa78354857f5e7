"""The sound of one recording as it is stored, read piece by piece: a file on a disk, or an object of a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mmer_ray.audio.opening import LocalBytes
from mmer_ray.errors import AudioError, ErrorCode
from mmer_ray.sources.objects import ObjectReader
from mmer_ray.sources.uris import is_remote, is_row

MEDIA_TYPES = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "mp4": "audio/mp4",
    "m4a": "audio/mp4",
    "mov": "audio/mp4",
    "webm": "audio/webm",
    "matroska": "audio/webm",
    "aac": "audio/aac",
}
"""Containers that browsers play. What is in them may still be strange to one: the player then asks for a WAV."""


@dataclass(frozen=True, slots=True)
class SoundOf:
    """What the lake knows of a recording's file."""

    corpus: str
    recording_id: str
    uri: str
    size_bytes: int
    """Of the file when it was scored; of a row of a Parquet file an estimate."""
    container: str
    channels: int
    duration_ms: int

    @property
    def media_type(self) -> str | None:
        """What a browser is told of the file; None where browsers cannot play it as it is."""
        return None if is_row(self.uri) else MEDIA_TYPES.get(self.container)


class ReadsSound(Protocol):
    """Random access to bytes; `close` ends it."""

    size_bytes: int

    def read_at(self, offset: int, num_bytes: int) -> bytes: ...

    def close(self) -> None: ...


def open_sound(sound: SoundOf) -> ReadsSound:
    """Open the file. Raises `AudioError` where it is gone, may not be read or is another one than was scored."""
    source: ReadsSound = ObjectReader(sound.uri) if is_remote(sound.uri) else LocalBytes(sound.uri, "")
    if source.size_bytes != sound.size_bytes:
        source.close()
        raise AudioError(
            ErrorCode.CHANGED_DURING_READ,
            f"the file has {source.size_bytes:,} bytes; when it was scored it had {sound.size_bytes:,}",
        )
    return source
