"""One recording through FFmpeg: its links, its track, its place in time, with everything counted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from mmer_ray.audio.container import Container, Repaired, end_s
from mmer_ray.audio.convert import Conversion
from mmer_ray.audio.headers import Claims, plausible
from mmer_ray.audio.limits import Limits, check_limits
from mmer_ray.audio.sniff import Sniffed
from mmer_ray.audio.timeline import Placement, Timeline
from mmer_ray.audio.tracks import choose_track
from mmer_ray.audio.view import HashedView
from mmer_ray.errors import AudioError, ErrorCode, Flag
from mmer_ray.records import Samples

ESTIMATING_CONTAINERS = frozenset({"mp3", "aac", "amr", "ac3", "mpeg", "mpegts", "flv", "voc"})
"""Their durations in FFmpeg are estimates from a bitrate."""
ZERO_BASED_CONTAINERS = frozenset({"mov", "matroska"})
"""Their timestamps count from the beginning of the file."""
TIMED_CONTAINERS = ZERO_BASED_CONTAINERS | {"asf", "flv", "mpeg", "mpegts", "ogg"}
"""Their packets bring timestamps; in the others every packet follows the one before. Timestamps of AVI are made up from
sizes, wrongly for MP3 of a variable rate."""


class Links:
    """The streams that follow each other in a file: one, but for chained Ogg."""

    def __init__(self, view: HashedView, sniffed: Sniffed, claims: Claims) -> None:
        self._view, self._demuxer, self._repair = view, sniffed.demuxer, claims.repair
        starts = claims.chain or (sniffed.start,)
        self._spans = list(zip(starts, (*starts[1:], view.size_bytes), strict=True))

    def __len__(self) -> int:
        return len(self._spans)

    def open(self, index: int) -> Container:
        """Open one of them. Raises `AudioError`."""
        if self._repair is not None:
            header, start, end = self._repair
            return Container(self._view, Repaired(self._view, header, start, end), self._demuxer)
        self._view.show(*self._spans[index])
        return Container(self._view, self._view, self._demuxer)


class Tally:
    """What was decoded so far, held against the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.sound_s = 0.0
        """Seconds of frames, without the silence between them."""
        self._silence_s = 0.0
        self._num_values = 0.0

    @property
    def total_s(self) -> float:
        return self.sound_s + self._silence_s

    def add(self, frame: Any, silence_s: float) -> None:
        """Count a frame and the silence in front of it. Raises `too_long`."""
        self.sound_s += frame.samples / frame.sample_rate
        self._num_values += frame.samples * frame.layout.nb_channels
        self.add_silence(silence_s)

    def add_silence(self, silence_s: float) -> None:
        self._silence_s += silence_s
        self._limits.check(self.total_s, self._num_values)


class AudioStream:
    """One sound track of a file, or of each stream of a chain. Iterate `blocks`, then read the facts."""

    def __init__(self, view: HashedView, sniffed: Sniffed, claims: Claims, limits: Limits) -> None:
        self._size_bytes, self._kind, self._claims = view.size_bytes, sniffed.container, claims
        self._links = Links(view, sniffed, claims)
        self._container = self._links.open(0)
        self._tally = Tally(limits)
        self._opened: int | None = 0
        self._end_s = 0.0
        self._num_errors = 0
        self.flags: set[Flag] = set()
        try:
            self._describe(self._container.tracks[0])
            # A timestamp that lies makes such a claim too: there the length counts that comes out.
            if claims.is_exact and self.claimed_s is not None and self._kind not in ZERO_BASED_CONTAINERS:
                limits.check(self.claimed_s, self.claimed_s * self.rate_hz * self.num_channels)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._container.close()

    @property
    def decoded_s(self) -> float:
        """Seconds that came out so far."""
        return self._tally.total_s

    def blocks(self, pulse: Callable[[], None]) -> Iterator[Samples]:
        """Yield int16 samples at 16 kHz, shape (1 or 2 channels, num_samples), a second or less at a time."""
        place = self._chosen_place(pulse)
        conversion = Conversion(self.codec, self._claims.md5, self._claims.bits)
        for index in range(len(self._links)):
            try:
                self._reopen(index)
            except AudioError:
                self._num_errors += 1
                continue
            track = self._container.tracks[min(place, len(self._container.tracks) - 1)]
            yield from self._track_blocks(track, conversion, pulse)
            self._num_errors += self._container.num_errors
        yield from conversion.finish()
        self.flags |= conversion.flags
        self._conclude(conversion)

    def _describe(self, track: Any) -> None:
        context = track.codec_context
        self.codec = str(context.codec.canonical_name)
        self.rate_hz, self.num_channels = int(context.sample_rate or 0), int(context.layout.nb_channels)
        check_limits(self.rate_hz, self.num_channels)
        self._track_end_s = end_s(track)
        self.claimed_s = self._claimed_s()

    def _chosen_place(self, pulse: Callable[[], None]) -> int:
        """The place of the track that is scored among those that can be decoded."""
        if self._container.num_tracks > 1:
            self.flags.add(Flag.MULTI_TRACK)
        if len(self._container.tracks) == 1:
            return 0
        place = choose_track(self._container, pulse)
        self._describe(self._container.tracks[place])
        self._opened = None
        return place

    def _reopen(self, index: int) -> None:
        """Open a link, unless it is the first and was not read from."""
        if self._opened != index:
            self._container.close()
            self._container, self._opened = self._links.open(index), index

    def _claimed_s(self) -> float | None:
        """Seconds that the file claims to last, silence and pictures included."""
        if self._claims.duration_s is not None or self._claims.is_fixed:
            return self._claims.duration_s
        if self._kind in ESTIMATING_CONTAINERS or len(self._links) > 1:
            return None
        claimed_s = self._container.tracks_end_s if self._kind == "mov" else self._track_end_s
        if claimed_s is None:
            claimed_s = self._container.duration_s
        return claimed_s if claimed_s is not None and plausible(claimed_s, self._size_bytes) else None

    def _track_blocks(self, track: Any, conversion: Conversion, pulse: Callable[[], None]) -> Iterator[Samples]:
        timeline = self._timeline()
        for _, frame in self._container.frames([track], pulse):
            if not frame.samples or not frame.sample_rate:
                continue
            duration_s, timestamp_s = frame.samples / frame.sample_rate, _timestamp_s(frame)
            if timestamp_s is not None:
                self._end_s = timestamp_s + duration_s
            placement = timeline.place(timestamp_s, duration_s) if timeline is not None else Placement()
            if placement.repeated_s >= duration_s:
                continue
            self._tally.add(frame, placement.silence_s)
            yield from conversion.push(frame, placement)
            assert conversion.source is not None
            # Some codecs (AAC with parametric stereo) only know once they have decoded.
            _, self.rate_hz, self.num_channels = conversion.source
        if timeline is not None:
            yield from self._silence_behind(timeline, conversion)
            if timeline.was_reset:
                self.flags.add(Flag.BAD_TIMESTAMPS)

    def _silence_behind(self, timeline: Timeline, conversion: Conversion) -> Iterator[Samples]:
        """Where the picture goes on without sound, its length is the file's."""
        until_s = self._container.tracks_end_s
        if self._kind != "mov" or until_s is None or not timeline.position_s or self._ends_early():
            return
        silence_s = timeline.fill(until_s)
        if silence_s:
            self._tally.add_silence(silence_s)
            yield from conversion.silence(silence_s)

    def _timeline(self) -> Timeline | None:
        if self._kind not in TIMED_CONTAINERS:
            return None
        if self._kind not in ZERO_BASED_CONTAINERS:
            return Timeline(self._container.start_s, self._size_bytes, None)
        return Timeline(0.0, self._size_bytes, self.claimed_s)

    def _conclude(self, conversion: Conversion) -> None:
        """Refuse a file that gave nothing; set the flags that only the end can tell."""
        if not self._tally.sound_s:
            if self._num_errors:
                raise AudioError(ErrorCode.DECODE_ERROR, f"none of {self._num_errors} packets could be decoded")
            raise AudioError(ErrorCode.NO_SAMPLES, "the file has a header and no samples")
        found = {
            Flag.DECODE_WARN: self._num_errors > 0,
            Flag.TRUNCATED: self._claims.is_truncated or self._ends_early(),
            Flag.HEADER_FIXED: self._claims.is_fixed,
            Flag.DOWNMIXED: self.num_channels > 2,
        }
        self.flags |= {flag for flag, holds in found.items() if holds}
        # A file that was cut cannot have the hash of the whole.
        if Flag.TRUNCATED not in self.flags and not conversion.md5_holds():
            self.flags.add(Flag.CHECKSUM)

    def _ends_early(self) -> bool:
        """Whether the track ends before the time that it claims."""
        claimed_s = self._track_end_s if self._kind == "mov" else self.claimed_s
        if claimed_s is None or self.claimed_s is None or not self._claims.is_exact:
            return False
        tolerance_s = max(0.2, 0.01 * claimed_s)
        return max(self._end_s, self._tally.total_s) < claimed_s - tolerance_s


def _timestamp_s(frame: Any) -> float | None:
    return float(frame.pts * frame.time_base) if frame.pts is not None and frame.time_base else None


@contextlib.contextmanager
def opened_stream(view: HashedView, sniffed: Sniffed, claims: Claims, limits: Limits) -> Iterator[AudioStream]:
    """Open the sound of a file; closed on leaving. Raises `AudioError`."""
    stream = AudioStream(view, sniffed, claims, limits)
    try:
        yield stream
    finally:
        stream.close()
