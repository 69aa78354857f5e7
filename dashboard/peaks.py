"""How loud a recording is from moment to moment: what a waveform is drawn from.

Peaks are made once, by the job's decoder, and kept in a folder of the user's cache, never in the lake. They go a week
after they were last made, so that little stays of a recording that is erased: it is looked for them when the server
starts and, at most once an hour, when one is asked for. A reader asks the lake first whether it still has the
recording.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt

from dashboard.decoding import GivesSound
from dashboard.stored_sound import SoundOf
from mmer_ray.errors import AudioError, ErrorCode
from mmer_ray.records import SAMPLE_RATE_HZ, SAMPLES_PER_MS, AudioFacts, Recording, Samples

VERSION = 1
POINTS_PER_S = 20
"""Enough to see words when a minute fills the screen."""
MAX_POINTS = 72_000
"""Of a channel: an hour at `POINTS_PER_S`. Longer recordings have coarser points."""
KEPT_S = 7 * 24 * 3_600
FORGET_EVERY_S = 3_600
MAX_WAITING = 20
FULL_SCALE = 32_768
_SUFFIX = ".peaks"


@dataclass(frozen=True, slots=True)
class PeaksOf:
    """One recording's peaks."""

    points_per_s: float
    levels: npt.NDArray[np.uint8]
    """Shape (num_channels, num_points): the square root of the greatest amplitude, full scale 255."""

    def packed(self) -> bytes:
        """A line of JSON, then the levels, channel after channel."""
        head = {"version": VERSION, "points_per_s": self.points_per_s, "num_channels": len(self.levels)}
        return json.dumps(head).encode() + b"\n" + self.levels.tobytes()


def peaks_of(sound: SoundOf, decoder: GivesSound) -> PeaksOf:
    """Decode a recording and measure it. Raises `AudioError`."""
    num_samples = sound.duration_ms * SAMPLES_PER_MS
    step = max(SAMPLE_RATE_HZ // POINTS_PER_S, -(-num_samples // MAX_POINTS))
    parts: list[npt.NDArray[np.float32]] = []
    rest: Samples | None = None
    with contextlib.closing(decoder.sound(Recording(sound.uri, size_bytes=sound.size_bytes))) as blocks:
        for block in blocks:
            if isinstance(block, AudioFacts):
                break
            joined = block if rest is None else np.concatenate([rest, block], axis=1)
            whole = joined.shape[1] // step * step
            parts.append(_greatest(joined[:, :whole], step))
            rest = joined[:, whole:]
    if rest is not None and rest.shape[1]:
        parts.append(_greatest(rest, rest.shape[1]))
    if not parts:
        raise AudioError(ErrorCode.NO_AUDIO_STREAM, "the recording has no sound")
    amplitudes = np.concatenate(parts, axis=1)
    return PeaksOf(SAMPLE_RATE_HZ / step, np.round(255 * np.sqrt(amplitudes)).astype(np.uint8))


def _greatest(samples: Samples, step: int) -> npt.NDArray[np.float32]:
    """The greatest amplitude of every `step` samples, 0..1; shape (num_channels, num_samples / step)."""
    amplitudes = np.abs(samples.astype(np.int32)).reshape(len(samples), -1, step)
    greatest: npt.NDArray[np.float32] = (amplitudes.max(axis=2) / FULL_SCALE).astype(np.float32)
    return greatest


class Peaks:
    """Packed peaks by recording: from the cache, or made by one of two threads. Safe to share between threads."""

    def __init__(self, decoder: GivesSound, folder: Path, lake: str) -> None:
        """`lake` is its address: the same audio has another id in another lake, and one id means one audio."""
        self._decoder, self._folder, self._lake = decoder, folder, lake
        self._makers = ThreadPoolExecutor(2, "peaks")
        self._making: dict[str, Future[bytes]] = {}
        self._changing = Lock()
        self._forgot_s = time.monotonic()
        self._forget_old()

    def close(self) -> None:
        """Make no more."""
        self._makers.shutdown(wait=False, cancel_futures=True)

    def ask(self, sound: SoundOf) -> Future[bytes]:
        """`PeaksOf.packed` of a recording, as soon as it is there; raises `AudioError` where it cannot be made."""
        path = self._path(sound)
        with self._changing:
            if time.monotonic() - self._forgot_s >= FORGET_EVERY_S:
                self._forgot_s = time.monotonic()
                self._forget_old()
            if path.name in self._making:
                return self._making[path.name]
            kept = _read(path)
            if kept is not None:
                done: Future[bytes] = Future()
                done.set_result(kept)
                return done
            if len(self._making) >= MAX_WAITING:
                raise AudioError(ErrorCode.IO_ERROR, "too many waveforms are being made; try again in a minute")
            making = self._makers.submit(self._make, sound, path)
            self._making[path.name] = making
        making.add_done_callback(lambda _: self._made(path.name))
        return making

    def _made(self, name: str) -> None:
        with self._changing:
            self._making.pop(name, None)

    def _make(self, sound: SoundOf, path: Path) -> bytes:
        packed = peaks_of(sound, self._decoder).packed()
        # A waveform that cannot be kept is shown all the same.
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as unfinished:
                unfinished.write(packed)
            Path(unfinished.name).replace(path)
        return packed

    def _path(self, sound: SoundOf) -> Path:
        name = hashlib.sha256(f"{self._lake}\0{sound.recording_id}\0{VERSION}".encode()).hexdigest()[:32]
        return self._folder / f"{name}{_SUFFIX}"

    def _forget_old(self) -> None:
        oldest = time.time() - KEPT_S
        with contextlib.suppress(OSError):
            for entry in os.scandir(self._folder):
                if entry.name.endswith(_SUFFIX) and entry.stat().st_mtime < oldest:
                    Path(entry.path).unlink(missing_ok=True)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
