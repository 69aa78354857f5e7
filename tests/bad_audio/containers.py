"""Audio files in memory: WAV and FLAC written by hand, where a header must lie, all else by FFmpeg's encoders."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from tests.bad_audio.signals import Signal, int16

LAYOUTS = {1: "mono", 2: "stereo", 8: "7.1"}


def wav(
    data: bytes,
    *,
    rate_hz: int = 16_000,
    channels: int = 1,
    bits: int = 16,
    tag: int = 1,
    align: int | None = None,
    data_size: int | None = None,
    before_data: bytes = b"",
) -> bytes:
    """A WAV file whose header says what it is told to."""
    align = channels * bits // 8 if align is None else align
    bytes_per_s = min(rate_hz * channels * bits // 8, 0xFFFF_FFFF)
    fmt = b"fmt " + struct.pack("<IHHIIHH", 16, tag, channels, rate_hz, bytes_per_s, align, bits)
    claimed = len(data) if data_size is None else data_size
    body = b"WAVE" + fmt + before_data + b"data" + struct.pack("<I", claimed) + data
    return b"RIFF" + struct.pack("<I", min(len(body), 0xFFFF_FFFF)) + body


def wav16(sound: Signal, rate_hz: int = 16_000, **fields: Any) -> bytes:
    """16-bit PCM; shape (num_samples,) or (num_samples, num_channels)."""
    channels = 1 if sound.ndim == 1 else sound.shape[1]
    return wav(int16(sound).tobytes(), rate_hz=rate_hz, **{"channels": channels, **fields})


def wav_float(sound: npt.NDArray[np.floating[Any]]) -> bytes:
    """32- or 64-bit float, as the array is."""
    return wav(sound.astype(sound.dtype.newbyteorder("<")).tobytes(), bits=sound.dtype.itemsize * 8, tag=3)


class _Forward(io.RawIOBase):
    """A sink that cannot go back: what a live recorder writes to."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += data
        return len(data)


def encoded(
    sound: Signal,
    container: str,
    codec: str,
    rate_hz: int = 16_000,
    *,
    muxer_options: Mapping[str, str] | None = None,
    codec_options: Mapping[str, str] | None = None,
    live: bool = False,
    num_tracks: int = 1,
    with_video: bool = False,
    bit_rate: int | None = None,
    sample_format: str | None = None,
) -> bytes:
    """A file by FFmpeg's muxer and encoder; `num_tracks` copies of the sound, none for 0."""
    sink: Any = _Forward() if live else io.BytesIO()
    channels = 1 if sound.ndim == 1 else sound.shape[1]
    with av.open(sink, "w", format=container, options=dict(muxer_options or {})) as output:
        picture = _add_picture(output) if with_video else None
        tracks = []
        for _ in range(num_tracks):
            layout = LAYOUTS[channels]
            track: Any = output.add_stream(codec, rate=rate_hz, layout=layout, options=dict(codec_options or {}))
            if sample_format:
                track.codec_context.format = sample_format
            if bit_rate:
                track.bit_rate = bit_rate
            tracks.append(track)
        if picture is not None:
            _write_picture(output, picture)
        for track in tracks:
            _write_sound(output, track, sound, rate_hz)
    return bytes(sink.data) if live else bytes(sink.getvalue())


def _write_sound(output: Any, track: Any, sound: Signal, rate_hz: int) -> None:
    channels = 1 if sound.ndim == 1 else sound.shape[1]
    frame = av.AudioFrame.from_ndarray(int16(sound).reshape(1, -1), "s16", LAYOUTS[channels])
    frame.sample_rate, frame.pts = rate_hz, 0
    resampler = av.AudioResampler(
        track.codec_context.format, track.codec_context.layout, track.rate, track.codec_context.frame_size or None
    )
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        output.mux(track.encode(part))
    output.mux(track.encode(None))


def _add_picture(output: Any) -> Any:
    picture = output.add_stream("mpeg4", rate=10)
    picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
    return picture


def _write_picture(output: Any, picture: Any) -> None:
    for index in range(30):
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), index * 8, dtype=np.uint8), "rgb24")
        output.mux(picture.encode(frame))
    output.mux(picture.encode(None))
