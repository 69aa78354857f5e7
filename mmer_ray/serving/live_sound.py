"""The sound of one live call: all of it as a WAV file on disk, and the stretches of speech found in it so far.

The file is what a caller would have sent of the same samples: nothing is resampled but what the endpointers hear.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Lock
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from mmer_ray.audio.channels import COPY_CORRELATION, LEAK_CORRELATION
from mmer_ray.audio.envelope import Envelope
from mmer_ray.audio.live_rate import LiveRate
from mmer_ray.audio.vad import VoiceDetector
from mmer_ray.records import SAMPLE_RATE_HZ, Samples
from mmer_ray.serving.endpointer import Endpointer, Stretch

BYTES_PER_SAMPLE = 2
SOUND_PREFIX = "live-"
HEADER_BYTES = 44
"""Of a WAV file with one `fmt ` and one `data` chunk."""


class LiveStretch(NamedTuple):
    """Speech on one channel."""

    channel: int
    start_s: float
    end_s: float


class LiveSound:
    """Takes 16-bit PCM as it comes. A context manager that removes its file. For threads, and not for the event loop:
    what is called meanwhile waits."""

    def __init__(self, folder: Path, rate_hz: int, num_channels: int, detector: VoiceDetector) -> None:
        """The file lies in `folder`, which is there."""
        self.rate_hz, self.num_channels = rate_hz, num_channels
        self._ears = [_Ear(rate_hz, detector) for _ in range(num_channels)]
        self._num_samples = 0
        self._busy = Lock()
        self._file = NamedTemporaryFile(dir=folder, prefix=SOUND_PREFIX, suffix=".wav")  # noqa: SIM115 - ours
        self._file.write(wav_header(rate_hz, num_channels, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the file."""
        with self._busy:
            self._file.close()

    @property
    def bytes_per_s(self) -> int:
        return self.rate_hz * self.num_channels * BYTES_PER_SAMPLE

    @property
    def duration_s(self) -> float:
        return self._num_samples / self.rate_hz

    @property
    def is_speaking(self) -> bool:
        """Whether somebody speaks on some channel."""
        return any(ear.endpointer.is_speaking for ear in self._ears)

    def add(self, pcm: bytes) -> list[LiveStretch]:
        """Take interleaved little-endian samples; give back the stretches that they end, sorted by start.

        Raises `ValueError` where the bytes are not whole samples of every channel.
        """
        with self._busy:
            if len(pcm) % (BYTES_PER_SAMPLE * self.num_channels):
                raise ValueError(f"{len(pcm)} bytes are not whole 16-bit samples of {self.num_channels} channel(s)")
            samples = np.frombuffer(pcm, dtype="<i2").astype(np.int16).reshape(-1, self.num_channels).T
            self._file.seek(0, io.SEEK_END)
            self._file.write(pcm)
            self._num_samples += samples.shape[1]
            return self._kept([ear.push(own) for ear, own in zip(self._ears, samples, strict=True)])

    def finish(self) -> list[LiveStretch]:
        """Give back the stretches that the end of the sound ends, and complete the file."""
        with self._busy:
            self._file.seek(0)
            self._file.write(wav_header(self.rate_hz, self.num_channels, self._num_samples))
            self._file.flush()
            return self._kept([ear.finish() for ear in self._ears])

    def cut(self, stretch: LiveStretch) -> bytes:
        """A WAV file of one stretch: its channel alone."""
        with self._busy:
            samples = self._read(stretch)[stretch.channel]
            return wav_header(self.rate_hz, 1, len(samples)) + bytes(samples)

    def whole(self, max_bytes: int) -> bytes | Path:
        """All of it, after `finish`: a file of its bytes, or where it lies if it is larger than `max_bytes`."""
        with self._busy:
            path = Path(self._file.name)
            return path.read_bytes() if path.stat().st_size <= max_bytes else path

    def _kept(self, found: Sequence[Sequence[Stretch]]) -> list[LiveStretch]:
        stretches = [LiveStretch(channel, *stretch) for channel, own in enumerate(found) for stretch in own]
        return sorted((one for one in stretches if not self._is_echo(one)), key=lambda one: (one.start_s, one.channel))

    def _is_echo(self, stretch: LiveStretch) -> bool:
        """Whether the stretch is the other channel's voice: a copy of it, or the quieter side of a leak."""
        if self.num_channels == 1:
            return False
        envelope = Envelope(_at_16_khz(self._read(stretch), self.rate_hz))
        if not envelope.levels_db.shape[1]:
            return False
        likeness = abs(envelope.correlation())
        own_db, other_db = (
            float(np.percentile(envelope.levels_db[channel], 95)) for channel in (stretch.channel, 1 - stretch.channel)
        )
        if own_db != other_db:
            return likeness >= LEAK_CORRELATION and own_db < other_db
        return likeness >= COPY_CORRELATION and stretch.channel == 1

    def _read(self, stretch: LiveStretch) -> Samples:
        """The samples of all channels around a stretch: int16, shape (num_channels, num_samples)."""
        first, last = (round(time_s * self.rate_hz) for time_s in (stretch.start_s, stretch.end_s))
        width = BYTES_PER_SAMPLE * self.num_channels
        self._file.seek(HEADER_BYTES + first * width)
        read = np.frombuffer(self._file.read((last - first) * width), dtype="<i2")
        return np.ascontiguousarray(read.astype(np.int16).reshape(-1, self.num_channels).T)


class _Ear:
    """What listens to one channel."""

    def __init__(self, rate_hz: int, detector: VoiceDetector) -> None:
        self._rate = LiveRate(rate_hz)
        self.endpointer = Endpointer(detector.follow())

    def push(self, samples: Samples) -> list[Stretch]:
        return self.endpointer.push(self._rate.converted(samples))

    def finish(self) -> list[Stretch]:
        return [*self.endpointer.push(self._rate.finish()), *self.endpointer.finish()]


def _at_16_khz(samples: Samples, rate_hz: int) -> Samples:
    """Int16, shape (num_channels, num_samples), in and out."""
    if rate_hz == SAMPLE_RATE_HZ:
        return samples
    converted: list[Samples] = []
    for own in samples:
        rate = LiveRate(rate_hz)
        converted.append(np.concatenate([rate.converted(own), rate.finish()]))
    return np.stack(converted)


def wav_header(rate_hz: int, num_channels: int, num_samples: int) -> bytes:
    """The first `HEADER_BYTES` of a WAV file of 16-bit PCM."""
    sink = io.BytesIO()
    with wave.open(sink, "wb") as writer:
        writer.setparams((num_channels, BYTES_PER_SAMPLE, rate_hz, num_samples, "NONE", ""))
        # Writes the header for what was announced; the samples stand behind it.
        writer.writeframesraw(b"")
        # Closing would rewrite the length with that of no samples.
        return sink.getvalue()
