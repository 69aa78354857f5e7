"""Recordings that browsers cannot play, decoded to WAV while they are listened to.

The WAV lies in a file without a name: nobody can open it, and it is gone when it is closed or the process ends. Of
several recordings the few that were heard last are kept. Its length is known beforehand, so a player may jump; a jump
ahead waits until the decoder is there, on the event loop: one that waits in a thread would keep it from others.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections import OrderedDict
from pathlib import Path
from threading import Lock, Thread
from typing import IO, Any

from dashboard.cache import unnamed_file
from dashboard.decoding import GivesSound, in_channels
from dashboard.stored_sound import SoundOf
from mmer_ray.errors import AudioError, ErrorCode
from mmer_ray.records import SAMPLE_RATE_HZ, SAMPLES_PER_MS, AudioFacts, Recording

HEADER_BYTES = 44
BYTES_PER_SAMPLE = 2
MAX_KEPT = 4
MAX_CHANNELS = 2
MAX_BYTES = 2_000_000_000
"""Of one WAV: nine hours of two channels."""
LOOK_S = 0.05
"""So often it is looked whether the decoder is there."""
NO_ROOM = "the sound cannot be converted at the moment"


class ConvertedSound:
    """One recording as 16-bit WAV, written by a thread. Satisfies `stored_sound.ReadsSound`; for any thread."""

    def __init__(self, sound: SoundOf, decoder: GivesSound, folder: Path) -> None:
        self.num_channels = min(max(sound.channels, 1), MAX_CHANNELS)
        self._num_audio_bytes = sound.duration_ms * SAMPLES_PER_MS * self.num_channels * BYTES_PER_SAMPLE
        self.size_bytes = HEADER_BYTES + self._num_audio_bytes
        if self.size_bytes > MAX_BYTES:
            raise AudioError(ErrorCode.TOO_LONG, "the recording is too long to be converted for a browser")
        self._sound, self._decoder = sound, decoder
        try:
            self._file: IO[bytes] = unnamed_file(folder)
        except OSError as exc:
            raise AudioError(ErrorCode.IO_ERROR, NO_ROOM) from exc
        self._file.write(wav_header(self.num_channels, self._num_audio_bytes))
        self._written = HEADER_BYTES
        self._failure: AudioError | None = None
        self._changing = Lock()
        self._num_users, self._is_dropped = 0, False
        Thread(target=self._convert, name="sound-conversion", daemon=True).start()

    async def wait_for(self, num_bytes: int) -> None:
        """Wait until so many bytes from the beginning are there. Raises `AudioError` where decoding failed before
        them."""
        while self._written < num_bytes:
            if self._failure is not None:
                raise self._failure
            await asyncio.sleep(LOOK_S)

    def read_at(self, offset: int, num_bytes: int) -> bytes:
        """Of these bytes what is there (`wait_for`)."""
        with self._changing:
            self._file.seek(offset)
            return self._file.read(num_bytes)

    def open(self) -> ConvertedSound:
        """Count one user more."""
        with self._changing:
            self._num_users += 1
        return self

    def close(self) -> None:
        """Count one user less."""
        with self._changing:
            self._num_users -= 1
            self._close_if_unused()

    def drop(self) -> None:
        """Close it once nobody uses it any longer."""
        with self._changing:
            self._is_dropped = True
            self._close_if_unused()

    @property
    def has_failed(self) -> bool:
        """Whether its decoding ended early."""
        return self._failure is not None

    def _close_if_unused(self) -> None:
        if self._is_dropped and self._num_users <= 0:
            self._file.close()

    def _convert(self) -> None:
        recording = Recording(self._sound.uri, size_bytes=self._sound.size_bytes)
        try:
            with contextlib.closing(self._decoder.sound(recording)) as blocks:
                for block in blocks:
                    if isinstance(block, AudioFacts):
                        break
                    if not self._append(in_channels(block, self.num_channels).T.astype("<i2").tobytes()):
                        return
            # The lake's length is rounded to milliseconds; what the header promises must be there.
            self._append(bytes(self.size_bytes - self._written))
        except AudioError as exc:
            self._failure = exc
        except (OSError, RuntimeError):
            self._failure = AudioError(ErrorCode.IO_ERROR, NO_ROOM)

    def _append(self, samples: bytes) -> bool:
        """Whether more is wanted."""
        with self._changing:
            if self._file.closed:
                return False
            part = samples[: self.size_bytes - self._written]
            self._file.seek(self._written)
            self._file.write(part)
            self._written += len(part)
            return self._written < self.size_bytes


class Conversions:
    """The recordings that were converted last. Safe to share between threads."""

    def __init__(self, decoder: GivesSound, folder: Path, max_kept: int = MAX_KEPT) -> None:
        """`folder` is where files without a name lie, if it can be written."""
        self._decoder, self._folder, self._max_kept = decoder, folder, max_kept
        self._kept: OrderedDict[tuple[str, str], ConvertedSound] = OrderedDict()
        self._changing = Lock()

    def open(self, sound: SoundOf) -> ConvertedSound:
        """The WAV of a recording; close it after use. Raises `AudioError` for one that is too long, and where no file
        can be written."""
        key = (sound.recording_id, sound.uri)
        with self._changing:
            kept = self._kept.pop(key, None)
            if kept is not None and kept.has_failed:
                kept.drop()
                kept = None
            self._kept[key] = kept or ConvertedSound(sound, self._decoder, self._folder)
            opened = self._kept[key].open()
            while len(self._kept) > self._max_kept:
                self._kept.popitem(last=False)[1].drop()
            return opened

    def close(self) -> None:
        """Let all of them go."""
        with self._changing:
            while self._kept:
                self._kept.popitem()[1].drop()


def wav_header(num_channels: int, num_audio_bytes: int) -> bytes:
    """The 44 bytes in front of 16-bit samples at 16 kHz."""
    frame = num_channels * BYTES_PER_SAMPLE
    parts: tuple[Any, ...] = (
        b"RIFF", HEADER_BYTES - 8 + num_audio_bytes, b"WAVE", b"fmt ", 16, 1, num_channels, SAMPLE_RATE_HZ,
        SAMPLE_RATE_HZ * frame, frame, 8 * BYTES_PER_SAMPLE, b"data", num_audio_bytes,
    )  # fmt: skip
    return struct.pack("<4sI4s4sIHHIIHH4sI", *parts)
