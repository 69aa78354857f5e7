"""One recording through FFmpeg: a forced demuxer over a file object, packet by packet, with everything counted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import av

from mmer_ray.audio.convert import Converter, signature
from mmer_ray.audio.headers import Claims, check_limits, plausible
from mmer_ray.audio.opening import HashedView
from mmer_ray.audio.sniff import Sniffed
from mmer_ray.errors import AudioError, ErrorCode, Flag
from mmer_ray.records import Samples

READ_BYTES = 1 << 17
WAV_PROBE_BYTES = "32768"
"""FFmpeg looks for DTS and AC-3 disguised as PCM; eight frames tell, its own 5 MB cost a short clip 3 ms."""
BYTES_PER_VALUE = 4
"""Decoded audio is priced as float32, the widest that the models see."""
MAX_READ_ERRORS = 100
"""The demuxer is asked again so often after an error without a packet in between."""
ESTIMATING_CONTAINERS = frozenset({"mp3", "aac", "amr", "ac3", "mpeg", "mpegts", "flv", "voc"})
"""Their durations in FFmpeg are estimates from a bitrate."""
_LOSSLESS_PREFIXES = ("pcm_", "flac", "alac", "wavpack", "ape", "tta")


class Limits:
    """Most seconds and bytes that one recording may decode to."""

    def __init__(self, max_duration_s: float, max_decoded_bytes: int) -> None:
        self._max_duration_s = max_duration_s
        self._max_decoded_bytes = max_decoded_bytes

    def check(self, duration_s: float, num_values: float) -> None:
        """Raise `too_long` for so many seconds, or so many values (samples times channels)."""
        if duration_s > self._max_duration_s:
            raise AudioError(ErrorCode.TOO_LONG, f"{duration_s:.0f} s or more; at most {self._max_duration_s:.0f} s")
        if num_values * BYTES_PER_VALUE > self._max_decoded_bytes:
            held = f"{num_values * BYTES_PER_VALUE:.0f} bytes or more"
            raise AudioError(ErrorCode.TOO_LONG, f"decodes to {held}; at most {self._max_decoded_bytes}")


class AudioStream:
    """The first audio track of a file, or of each stream of a chain. Iterate `blocks`, then read the facts."""

    def __init__(self, view: HashedView, sniffed: Sniffed, claims: Claims, limits: Limits) -> None:
        self._view, self._sniffed, self._claims, self._limits = view, sniffed, claims, limits
        starts = claims.chain or (sniffed.start,)
        self._links = list(zip(starts, (*starts[1:], view.size_bytes), strict=True))
        self._container = self._open_link(0)
        try:
            self._track = self._first_track()
            context = self._track.codec_context
            self.codec = str(context.codec.canonical_name)
            self.rate_hz, self.num_channels = int(context.sample_rate or 0), int(context.layout.nb_channels)
            check_limits(self.rate_hz, self.num_channels)
            self.claimed_s = self._claimed_s()
            if claims.is_exact and self.claimed_s is not None:
                limits.check(self.claimed_s, self.claimed_s * self.rate_hz * self.num_channels)
        except BaseException:
            self.close()
            raise
        self.num_out_channels = 2 if self.num_channels == 2 else 1
        self.flags: set[Flag] = set()
        self.decoded_s = 0.0
        self._num_values = 0
        self._num_errors = 0
        self._num_tracks = 0
        self._end_s = 0.0
        self._converter: Converter | None = None

    def close(self) -> None:
        self._container.close()

    def blocks(self, pulse: Callable[[], None]) -> Iterator[Samples]:
        """Yield int16 samples at 16 kHz, shape (num_out_channels, num_samples), a second or less at a time."""
        self._num_tracks = len(self._container.streams.audio)
        yield from self._link_blocks(pulse)
        for index in range(1, len(self._links)):
            try:
                self._container.close()
                self._container = self._open_link(index)
                self._track = self._first_track()
            except AudioError:
                self._num_errors += 1
                continue
            yield from self._link_blocks(pulse)
        yield from self._finished()
        self._conclude()

    def _link_blocks(self, pulse: Callable[[], None]) -> Iterator[Samples]:
        last_frame, last_pts = None, None
        for packet in self._packets():
            pulse()
            for frame in self._decoded(packet):
                last_frame, last_pts = frame, frame.pts
                yield from self._convert(frame)
        if last_frame is not None and last_pts is not None and last_frame.time_base and last_frame.sample_rate:
            self._end_s = float(last_pts * last_frame.time_base) + last_frame.samples / last_frame.sample_rate

    def _open_link(self, index: int) -> Any:
        self._view.show(*self._links[index])
        return _open(self._view, self._sniffed.demuxer)

    def _first_track(self) -> Any:
        tracks = self._container.streams.audio
        if not tracks:
            raise AudioError(ErrorCode.NO_AUDIO_STREAM, "the file has no sound track")
        if tracks[0].codec_context is None or not tracks[0].codec_context.name:
            raise AudioError(ErrorCode.UNSUPPORTED_CODEC, "no decoder for the sound track")
        # One core per decoder: actors run many of them side by side.
        tracks[0].codec_context.thread_count = 1
        return tracks[0]

    def _claimed_s(self) -> float | None:
        if self._claims.duration_s is not None or self._claims.is_impossible:
            return self._claims.duration_s
        if self._sniffed.container in ESTIMATING_CONTAINERS or len(self._links) > 1:
            return None
        claimed_s = None
        if self._track.duration is not None and self._track.time_base is not None:
            claimed_s = float(self._track.duration * self._track.time_base)
        elif self._container.duration is not None:
            claimed_s = self._container.duration / av.time_base
        return claimed_s if claimed_s is not None and plausible(claimed_s, self._view.size_bytes) else None

    def _packets(self) -> Iterator[Any]:
        num_errors = 0
        packets = self._container.demux(self._track)
        while num_errors < MAX_READ_ERRORS:
            try:
                yield next(packets)
            except StopIteration:
                return
            except av.error.EOFError:
                break
            except (av.error.FFmpegError, OSError) as exc:
                self._refuse_fatal(exc)
                num_errors += 1
                packets = self._container.demux(self._track)
        self._num_errors += num_errors

    def _decoded(self, packet: Any) -> list[Any]:
        try:
            return list(packet.decode())
        except av.error.EOFError:
            return []
        except (av.error.FFmpegError, OSError) as exc:
            self._refuse_fatal(exc)
            self._num_errors += 1
            return []

    def _refuse_fatal(self, exc: Exception) -> None:
        if self._view.failure is not None:
            raise self._view.failure from exc
        if isinstance(exc, MemoryError):
            raise MemoryError from exc

    def _convert(self, frame: Any) -> Iterator[Samples]:
        if not frame.samples:
            return
        if self._converter is None or signature(frame) != self._converter.signature:
            if self._converter is not None:
                self.flags.add(Flag.FORMAT_CHANGE)
            yield from self._finished()
            self._start_converter(frame)
        assert self._converter is not None
        self.decoded_s += frame.samples / frame.sample_rate
        self._num_values += frame.samples * frame.layout.nb_channels
        self._limits.check(self.decoded_s, self._num_values)
        yield from self._converter.push(frame)

    def _start_converter(self, frame: Any) -> None:
        check_limits(frame.sample_rate, frame.layout.nb_channels)
        if self._converter is None:
            # Some codecs (AAC with parametric stereo) only know once they have decoded.
            self.rate_hz, self.num_channels = frame.sample_rate, frame.layout.nb_channels
            self.num_out_channels = 2 if self.num_channels == 2 else 1
        is_lossy = not self.codec.startswith(_LOSSLESS_PREFIXES)
        self._converter = Converter(frame, self.num_out_channels, is_lossy=is_lossy)
        if self._claims.md5 is not None and Flag.FORMAT_CHANGE not in self.flags:
            self._converter.hash_samples(self._claims.bits)

    def _finished(self) -> Iterator[Samples]:
        if self._converter is not None:
            yield from self._converter.finish()
            if self._converter.is_out_of_range:
                self.flags.add(Flag.OUT_OF_RANGE)

    def _conclude(self) -> None:
        """Refuse a file that gave nothing; set the flags that only the end can tell."""
        if not self.decoded_s:
            if self._num_errors:
                raise AudioError(ErrorCode.DECODE_ERROR, f"none of {self._num_errors} packets could be decoded")
            raise AudioError(ErrorCode.NO_SAMPLES, "the file has a header and no samples")
        found = {
            Flag.DECODE_WARN: self._num_errors > 0,
            Flag.TRUNCATED: self._claims.is_truncated or self._ends_early(),
            Flag.HEADER_FIXED: self._claims.is_impossible,
            Flag.MULTI_TRACK: self._num_tracks > 1,
            Flag.DOWNMIXED: self.num_channels > 2,
        }
        self.flags |= {flag for flag, holds in found.items() if holds}
        # A file that was cut cannot have the hash of the whole.
        if Flag.TRUNCATED not in self.flags and not self._md5_holds():
            self.flags.add(Flag.CHECKSUM)

    def _ends_early(self) -> bool:
        if self.claimed_s is None or not self._claims.is_exact:
            return False
        tolerance_s = max(0.2, 0.01 * self.claimed_s)
        return max(self._end_s, self.decoded_s) < self.claimed_s - tolerance_s

    def _md5_holds(self) -> bool:
        if self._converter is None or self._converter.md5 is None:
            return True
        return bool(self._converter.md5.digest() == self._claims.md5)


def _open(view: HashedView, demuxer: str) -> Any:
    options = {"probesize": WAV_PROBE_BYTES} if demuxer == "wav" else {}
    try:
        return av.open(
            view,
            mode="r",
            format=demuxer,
            container_options=options,
            buffer_size=READ_BYTES,
            metadata_errors="replace",
            io_open=_refuse_to_open,
        )
    except (av.error.FFmpegError, OSError) as exc:
        if view.failure is not None:
            raise view.failure from exc
        if isinstance(exc, MemoryError):
            raise
        raise AudioError(ErrorCode.CORRUPT_HEADER, f"the {demuxer} header cannot be read: {exc.strerror}") from exc


def _refuse_to_open(url: str, flags: int, options: object) -> Any:
    raise AudioError(ErrorCode.FORBIDDEN_FORMAT, "the file names another file")


@contextlib.contextmanager
def opened_stream(view: HashedView, sniffed: Sniffed, claims: Claims, limits: Limits) -> Iterator[AudioStream]:
    stream = AudioStream(view, sniffed, claims, limits)
    try:
        yield stream
    finally:
        stream.close()
