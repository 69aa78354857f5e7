"""One container opened by FFmpeg: a forced demuxer over a file object, read packet by packet."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import av

from mmer_ray.audio.view import HashedView, SeekableFile
from mmer_ray.errors import AudioError, ErrorCode

READ_BYTES = 1 << 17
WAV_PROBE_BYTES = "32768"
"""FFmpeg looks for DTS and AC-3 disguised as PCM; eight frames tell, its own 5 MB cost a short clip 3 ms."""
MAX_READ_ERRORS = 100
"""The demuxer is asked again so often after an error without a packet in between."""


class Repaired(SeekableFile):
    """A stretch of a file behind a header of our own, for a file whose header lies."""

    def __init__(self, view: HashedView, header: bytes, start: int, end: int) -> None:
        super().__init__()
        self._view, self._header = view, header
        self._start, self._end = start, end

    def _size(self) -> int:
        return len(self._header) + self._end - self._start

    def _read_at(self, position: int, num_bytes: int) -> bytes:
        data = self._header[position : position + num_bytes]
        if len(data) < num_bytes:
            offset = self._start + position + len(data) - len(self._header)
            data += self._view.read_at(offset, num_bytes - len(data))
        return data


class Container:
    """The sound tracks of one container. Errors in single packets are counted and survived."""

    def __init__(self, view: HashedView, file: io.RawIOBase, demuxer: str) -> None:
        """Open `file`, which is `view` or reads from it: `view` knows of read errors that FFmpeg swallows.

        Raises `AudioError`: `no_audio_stream`, `unsupported_codec`, `corrupt_header`.
        """
        self._view = view
        self._container = _open(view, file, demuxer)
        self.num_errors = 0
        try:
            self.num_tracks = len(self._container.streams.audio)
            if not self.num_tracks:
                raise AudioError(ErrorCode.NO_AUDIO_STREAM, "the file has no sound track")
            self.tracks = [track for track in self._container.streams.audio if _has_decoder(track)]
            if not self.tracks:
                raise AudioError(ErrorCode.UNSUPPORTED_CODEC, "no decoder for the sound track")
        except BaseException:
            self.close()
            raise
        for track in self.tracks:
            # One core per decoder: actors run many of them side by side.
            track.codec_context.thread_count = 1

    def close(self) -> None:
        self._container.close()

    @property
    def duration_s(self) -> float | None:
        """Seconds that the container claims, over all its tracks."""
        return None if self._container.duration is None else float(self._container.duration / av.time_base)

    @property
    def start_s(self) -> float:
        """The earliest time of any track, pictures included."""
        return float((self._container.start_time or 0) / av.time_base)

    @property
    def tracks_end_s(self) -> float | None:
        """When the last track ends, pictures included; None where no track claims a length."""
        ends_s = [end_s(track) for track in self._container.streams if track.type in ("audio", "video")]
        return max((one for one in ends_s if one is not None), default=None)

    def frames(self, tracks: list[Any], pulse: Callable[[], None]) -> Iterator[tuple[int, Any]]:
        """Yield the decoded frames of tracks as they come in the file, each with its track's place in `tracks`."""
        places = {track.index: place for place, track in enumerate(tracks)}
        for packet in self._packets(tracks):
            pulse()
            for frame in self._decoded(packet):
                yield places[packet.stream.index], frame

    def _packets(self, tracks: list[Any]) -> Iterator[Any]:
        num_errors = 0
        packets = self._container.demux(tracks)
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
                packets = self._container.demux(tracks)
        self.num_errors += num_errors

    def _decoded(self, packet: Any) -> list[Any]:
        try:
            return list(packet.decode())
        except av.error.EOFError:
            return []
        except (av.error.FFmpegError, OSError) as exc:
            self._refuse_fatal(exc)
            self.num_errors += 1
            return []

    def _refuse_fatal(self, exc: Exception) -> None:
        if self._view.failure is not None:
            raise self._view.failure from exc
        if isinstance(exc, MemoryError):
            raise MemoryError from exc


def end_s(track: Any) -> float | None:
    """When a track ends by its own account; None where it claims no length."""
    if track.duration is None or track.time_base is None:
        return None
    return float(((track.start_time or 0) + track.duration) * track.time_base)


def _has_decoder(track: Any) -> bool:
    return track.codec_context is not None and bool(track.codec_context.name)


def _open(view: HashedView, file: io.RawIOBase, demuxer: str) -> Any:
    options = {"probesize": WAV_PROBE_BYTES} if demuxer == "wav" else {}
    try:
        return av.open(
            file,
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
