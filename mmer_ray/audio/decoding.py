"""One recording from address to windows and facts, inside the child."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mmer_ray.audio.channels import ChannelPlan
from mmer_ray.audio.headers import Claims, plausible, read_claims
from mmer_ray.audio.level import levelled
from mmer_ray.audio.limits import Limits
from mmer_ray.audio.opening import HashedView, open_source
from mmer_ray.audio.pulse import Pulse
from mmer_ray.audio.quality import Quality
from mmer_ray.audio.sniff import Sniffed, mislabelled, sniff
from mmer_ray.audio.stream import AudioStream, opened_stream
from mmer_ray.audio.windows import Cutter, Piece
from mmer_ray.errors import AudioError, ErrorCode, Flag
from mmer_ray.records import SAMPLE_RATE_HZ, Samples

NARROW_RATE_HZ = 8_000
"""Below telephone rate words are hard to tell even for people."""

Answer = tuple[dict[str, Any], Samples | None]
"""A header of `wire.py` and, for a window, its int16 samples of shape (num_samples,)."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the parent asks: one recording, and the options that it is decoded under."""

    kind: str
    """`decode` or `probe`."""
    uri: str
    root: str
    key: str
    """Hex digits."""
    window_s: float
    max_duration_s: float
    max_file_bytes: int
    max_decoded_bytes: int
    stall_s: float


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that may be read and is of a kind that we know."""

    view: HashedView
    sniffed: Sniffed
    claims: Claims


def answers(request: Request, pulse: Pulse) -> Iterator[Answer]:
    """Windows as they are complete, then the facts. Raises `AudioError`."""
    with _opened(request, pulse) as file:
        limits = Limits(request.max_duration_s, request.max_decoded_bytes)
        with opened_stream(file.view, file.sniffed, file.claims, limits) as stream:
            scored = _Scored(stream)
            for piece in _pieces(stream, request.window_s, pulse):
                yield from scored.windows(piece)
        if not scored.num_samples:
            raise AudioError(ErrorCode.NO_SAMPLES, "too short for a single sample at 16 kHz")
        recording_id = file.view.digest()
        if file.view.changed():
            raise AudioError(ErrorCode.CHANGED_DURING_READ, "the file was changed or replaced while it was read")
        flags = stream.flags | scored.flags() | file.sniffed.flags
        if mislabelled(request.uri.rpartition("/")[2], file.sniffed.container):
            flags.add(Flag.MISLABELLED)
        yield _facts(recording_id, scored.num_samples, stream, file.sniffed, flags), None


def claimed_duration(request: Request, pulse: Pulse) -> Answer:
    """The seconds that the header claims, or None where it is silent or cannot be right."""
    with _opened(request, pulse) as file:
        claimed_s = file.claims.duration_s
        if claimed_s is None and not file.claims.is_fixed:
            unlimited = Limits(float("inf"), sys.maxsize)
            with opened_stream(file.view, file.sniffed, file.claims, unlimited) as stream:
                claimed_s = stream.claimed_s
        is_possible = claimed_s is not None and plausible(claimed_s, file.view.size_bytes)
    return {"kind": "claimed", "duration_s": claimed_s if is_possible else None}, None


@contextlib.contextmanager
def _opened(request: Request, pulse: Pulse) -> Iterator[Opened]:
    source = open_source(request.uri, request.root, request.max_file_bytes)
    try:
        view = HashedView(source, bytes.fromhex(request.key), pulse)
        try:
            sniffed = sniff(view.read_at, view.size_bytes)
            claims = read_claims(view.read_at, view.size_bytes, sniffed)
        except OSError as exc:
            raise view.failure or exc from exc
        yield Opened(view, sniffed, claims)
    finally:
        source.close()


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

    def __init__(self, stream: AudioStream) -> None:
        self._stream = stream
        self._plan: ChannelPlan | None = None
        self._quality: Quality | None = None
        self._num_windows = 0
        self._has_low_speech = False
        self.num_samples = 0

    def windows(self, piece: Piece) -> Iterator[Answer]:
        if self._plan is None or self._quality is None:
            self._plan, self._quality = ChannelPlan(len(piece.samples)), Quality(len(piece.samples))
        self._quality.update(piece.samples)
        self.num_samples = piece.start_sample + piece.samples.shape[1]
        for track in self._plan.tracks(piece.samples):
            ready = levelled(track.samples)
            self._has_low_speech |= ready.was_low
            header = {
                "kind": "window",
                "index": self._num_windows,
                "channel": track.channel,
                "start_s": piece.start_sample / SAMPLE_RATE_HZ,
                "end_s": self.num_samples / SAMPLE_RATE_HZ,
                "apart": track.one_speaker,
            }
            self._num_windows += 1
            yield header, ready.samples

    def flags(self) -> set[Flag]:
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
    recording_id: str, num_samples: int, stream: AudioStream, sniffed: Sniffed, flags: set[Flag]
) -> dict[str, Any]:
    return {
        "kind": "facts",
        "recording_id": recording_id,
        "duration_s": num_samples / SAMPLE_RATE_HZ,
        "channels": stream.num_channels,
        "sample_rate_hz": stream.rate_hz,
        "codec": stream.codec,
        "container": sniffed.container,
        "flags": [flag.value for flag in Flag if flag in flags],
    }
