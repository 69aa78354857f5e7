"""One recording from address to windows and facts, inside the child."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mmer_ray.audio.channels import ChannelPlan
from mmer_ray.audio.headers import Claims, plausible, read_claims
from mmer_ray.audio.level import levelled
from mmer_ray.audio.limits import Limits
from mmer_ray.audio.needed import Needed
from mmer_ray.audio.ogg import claimed_length_s
from mmer_ray.audio.opening import BoundedBytes, ByteSource, check_size
from mmer_ray.audio.pulse import Pulse
from mmer_ray.audio.quality import Quality
from mmer_ray.audio.sniff import Sniffed, mislabelled, sniff
from mmer_ray.audio.stream import AudioStream, opened_stream
from mmer_ray.audio.view import HashedView
from mmer_ray.audio.windows import Cutter, Piece
from mmer_ray.errors import AudioError, ErrorCode, Flag
from mmer_ray.records import SAMPLE_RATE_HZ, Samples

NARROW_RATE_HZ = 8_000
"""Below telephone rate words are hard to tell even for people."""

MAX_PROBE_BYTES = 16 << 20
"""Of a file whose length alone is asked for. The index of a twelve-hour MP4 has 8 MB."""

Answer = tuple[dict[str, Any], Samples | None]
"""A header of `wire.py` and, for a window, its int16 samples of shape (num_samples,)."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the parent asks: one recording, and the options that it is decoded under."""

    kind: str
    """`decode`, `sound` or `probe`."""
    uri: str
    root: str
    remote_bytes: int | None
    """Size of the object that the parent reads for the child; None for a local file, which the child opens itself."""
    window_s: float
    max_duration_s: float
    max_file_bytes: int
    max_decoded_bytes: int
    stall_s: float
    needed: list[list[int]] | None = None
    """Ranges (`needed.SoundRange`) outside of which no window is wanted; None: all are."""


def answers(request: Request, source: ByteSource, pulse: Pulse) -> Iterator[Answer]:
    """Windows as they are complete, then the facts. Raises `AudioError`.

    Where ranges are `needed`, windows without any are left out, decoding ends behind the last one, and of the facts
    the digest alone is that of the whole file.
    """
    check_size(source, request.max_file_bytes)
    view = HashedView(source, pulse)
    sniffed, claims = _claims(view)
    with opened_stream(view, sniffed, claims, _limits(request)) as stream:
        needed = None if request.needed is None else Needed(request.needed)
        scored = _Scored(stream, needed)
        for piece in _pieces(stream, request.window_s, pulse):
            yield from scored.windows(piece)
            if needed is not None and scored.num_samples >= needed.end_sample:
                break
    content_digest = _digest_of_whole(view, scored.num_samples)
    flags = stream.flags | scored.flags() | sniffed.flags
    if mislabelled(request.uri.rpartition("/")[2], sniffed.container):
        flags.add(Flag.MISLABELLED)
    yield _facts(content_digest, scored.num_samples, stream, sniffed, flags), None


def sound(request: Request, source: ByteSource, pulse: Pulse) -> Iterator[Answer]:
    """All samples, placed in time as those of windows are, but neither levelled nor parted from other channels:
    interleaved int16, a second or less at a time; then the facts, without flags. Raises `AudioError`."""
    check_size(source, request.max_file_bytes)
    view = HashedView(source, pulse)
    sniffed, claims = _claims(view)
    num_samples = 0
    with opened_stream(view, sniffed, claims, _limits(request)) as stream:
        for block in stream.blocks(pulse):
            pulse.decoded_s = stream.decoded_s
            num_samples += block.shape[1]
            yield {"kind": "sound", "num_channels": block.shape[0]}, block.T.reshape(-1)
    yield _facts(_digest_of_whole(view, num_samples), num_samples, stream, sniffed, set()), None


def _limits(request: Request) -> Limits:
    return Limits(request.max_duration_s, request.max_decoded_bytes)


def _digest_of_whole(view: HashedView, num_samples: int) -> str:
    """The digest of a file that was read to its end and gave so many samples. Raises `AudioError`."""
    if not num_samples:
        raise AudioError(ErrorCode.NO_SAMPLES, "too short for a single sample at 16 kHz")
    content_digest = view.digest()
    if view.changed():
        raise AudioError(ErrorCode.CHANGED_DURING_READ, "the file was changed or replaced while it was read")
    return content_digest


def claimed_duration(request: Request, source: ByteSource, pulse: Pulse) -> Iterator[Answer]:
    """One answer: the seconds that the header claims, or None where it is silent or cannot be right.

    Reads at most `MAX_PROBE_BYTES`. Raises `AudioError`.
    """
    check_size(source, request.max_file_bytes)
    view = HashedView(BoundedBytes(source, MAX_PROBE_BYTES), pulse)
    claimed_s = _claimed_s(view)
    is_possible = claimed_s is not None and plausible(claimed_s, view.size_bytes)
    yield {"kind": "claimed", "duration_s": claimed_s if is_possible else None}, None


def _claimed_s(view: HashedView) -> float | None:
    try:
        sniffed = sniff(view.read_at, view.size_bytes)
        if sniffed.container == "ogg":
            return claimed_length_s(view.read_at, view.size_bytes, sniffed.start)
        claims = read_claims(view.read_at, view.size_bytes, sniffed)
    except OSError as exc:
        raise view.failure or exc from exc
    if claims.duration_s is not None or claims.is_fixed:
        return claims.duration_s
    with opened_stream(view, sniffed, claims, Limits(float("inf"), sys.maxsize)) as stream:
        return stream.claimed_s


def _claims(view: HashedView) -> tuple[Sniffed, Claims]:
    """What the bytes are and what their header claims."""
    try:
        sniffed = sniff(view.read_at, view.size_bytes)
        return sniffed, read_claims(view.read_at, view.size_bytes, sniffed)
    except OSError as exc:
        raise view.failure or exc from exc


def _pieces(stream: AudioStream, window_s: float, pulse: Pulse) -> Iterator[Piece]:
    cutter = None
    for block in stream.blocks(pulse):
        cutter = cutter or Cutter(block.shape[0], window_s)
        pulse.decoded_s = stream.decoded_s
        yield from cutter.append(block)
    if cutter is not None:
        yield from cutter.finish()


class _Scored:
    """Turns pieces into windows and watches them pass."""

    def __init__(self, stream: AudioStream, needed: Needed | None = None) -> None:
        self._stream, self._needed = stream, needed
        self._plan: ChannelPlan | None = None
        self._quality: Quality | None = None
        self._num_windows = 0
        self._has_low_speech = False
        self.num_samples = 0

    def windows(self, piece: Piece) -> Iterator[Answer]:
        if self._plan is None or self._quality is None:
            self._plan, self._quality = ChannelPlan(len(piece.samples)), Quality(len(piece.samples))
        if self._needed is None:
            self._quality.update(piece.samples)
        self.num_samples = piece.start_sample + piece.samples.shape[1]
        for track in self._plan.tracks(piece.samples):
            if self._needed is not None and not self._needed.touches(
                track.channel, piece.start_sample, self.num_samples
            ):
                self._num_windows += 1
                continue
            ready = levelled(track.samples)
            self._has_low_speech |= ready.was_low
            header = {
                "kind": "window",
                "index": self._num_windows,
                "channel": track.channel,
                "start_s": piece.start_sample / SAMPLE_RATE_HZ,
                "end_s": self.num_samples / SAMPLE_RATE_HZ,
                "one_speaker": track.one_speaker,
            }
            self._num_windows += 1
            yield header, ready.samples

    def _is_needed(self, channel: int, start_sample: int) -> bool:
        return self._needed is None or self._needed.touches(channel, start_sample, self.num_samples)

    def flags(self) -> set[Flag]:
        if self._needed is not None:
            return set()
        assert self._plan is not None
        assert self._quality is not None
        flags = self._plan.flags | self._quality.flags()
        if self._has_low_speech:
            flags.add(Flag.LOW_LEVEL)
        if self._stream.rate_hz < NARROW_RATE_HZ:
            flags.add(Flag.NARROWBAND)
        # Samples beyond full scale were clipped by us; the other flag says why.
        return flags - {Flag.CLIPPED} if Flag.OUT_OF_RANGE in self._stream.flags else flags


def _facts(
    content_digest: str, num_samples: int, stream: AudioStream, sniffed: Sniffed, flags: set[Flag]
) -> dict[str, Any]:
    return {
        "kind": "facts",
        "content_digest": content_digest,
        "duration_s": num_samples / SAMPLE_RATE_HZ,
        "channels": stream.num_channels,
        "sample_rate_hz": stream.rate_hz,
        "codec": stream.codec,
        "container": sniffed.container,
        "flags": [flag.value for flag in Flag if flag in flags],
    }


FOUND: Mapping[str, Callable[[Request, ByteSource, Pulse], Iterator[Answer]]] = {
    "decode": answers,
    "sound": sound,
    "probe": claimed_duration,
}
"""Kind of request -> what answers it."""
