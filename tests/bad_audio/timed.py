"""Containers whose packets carry chosen times: late starts, holes, overlaps, forged jumps, several tracks."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np

from tests.bad_audio.containers import LAYOUTS
from tests.bad_audio.signals import Signal, int16

Part = tuple[float, Signal]
"""When a stretch of sound begins, in seconds, and the sound."""


def timed(
    container: str,
    codec: str,
    rate_hz: int,
    *tracks: Sequence[Part],
    picture_s: float = 0.0,
    muxer_options: Mapping[str, str] | None = None,
) -> bytes:
    """A file with one track for each list of parts, and with a picture that lasts `picture_s` seconds."""
    sink = io.BytesIO()
    with av.open(sink, "w", format=container, options=dict(muxer_options or {})) as output:
        picture: Any = output.add_stream("mpeg4", rate=5) if picture_s else None
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        added: list[Any] = [output.add_stream(codec, rate=rate_hz, layout=LAYOUTS[1]) for _ in tracks]
        packets = [packet for track, parts in zip(added, tracks, strict=True) for packet in _packets(track, parts)]
        for index in range(round(picture_s * 5)):
            packets.extend(picture.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), index, np.uint8), "rgb24")))
        if picture is not None:
            packets.extend(picture.encode(None))
        # In the order of time where time only goes on: that is how players get them.
        if len(tracks) > 1 or picture is not None:
            packets.sort(key=lambda packet: packet.dts * packet.time_base)
        for packet in packets:
            output.mux(packet)
    return sink.getvalue()


def _packets(track: Any, parts: Sequence[Part]) -> list[Any]:
    packets: list[Any] = []
    rate_hz = track.rate
    for start_s, sound in parts:
        frame = av.AudioFrame.from_ndarray(int16(sound).reshape(1, -1), "s16", "mono")
        frame.sample_rate = rate_hz
        size = track.codec_context.frame_size or None
        resampler = av.AudioResampler(track.codec_context.format, "mono", rate_hz, size)
        next_pts = round(start_s * rate_hz)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            # A short frame may only be the last one.
            if size is None or piece.samples == size:
                piece.pts, piece.time_base = next_pts, Fraction(1, rate_hz)
                next_pts += piece.samples
                packets.extend(track.encode(piece))
    return packets + list(track.encode(None))
