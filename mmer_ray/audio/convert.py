"""From decoded frames in any format to int16 samples at 16 kHz, gathered into blocks of about a second.

FFmpeg's frames are short (an MP3 has 40 a second); work per frame stays in C, numpy sees blocks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from mmer_ray.errors import AudioError, ErrorCode
from mmer_ray.records import SAMPLE_RATE_HZ, Samples

BLOCK_VALUES = 1 << 18
"""Most values (samples times channels) in a block: 2 MB as 64-bit floats."""
MIN_BLOCK_SAMPLES = 1024
FULL_SCALE = 1.0
LOSSY_FULL_SCALE = 2.0
"""Lossy codecs overshoot full scale on loud sound as a matter of course; twice full scale is damage."""

_FLOATS = {"flt", "fltp", "dbl", "dblp"}
_LAYOUTS = {1: "mono", 2: "stereo"}


class Converter:
    """Converts frames that share format, rate and channels; the stream makes a new one when these change."""

    def __init__(self, frame: Any, num_out_channels: int, *, is_lossy: bool) -> None:
        self.signature = signature(frame)
        self._format, self._rate_hz, self._num_channels = self.signature
        self._num_out_channels = num_out_channels
        self._ceiling = LOSSY_FULL_SCALE if is_lossy else FULL_SCALE
        self._fifo = av.AudioFifo()
        self._block_samples = max(MIN_BLOCK_SAMPLES, min(self._rate_hz, BLOCK_VALUES // self._num_channels))
        self._resampler = av.AudioResampler(format="s16p", layout=_LAYOUTS[num_out_channels], rate=SAMPLE_RATE_HZ)
        # Nothing to convert: FFmpeg would spend milliseconds on setting up a filter that passes everything through.
        self._is_final = self.signature == ("s16", SAMPLE_RATE_HZ, num_out_channels)
        # Beyond two channels blocks go through numpy, which wants one plane: PyAV reads past the end of the list of
        # planes of frames with eight or more.
        self._packer = av.AudioResampler(format="flt") if self._num_channels > 2 else None
        self.is_out_of_range = False
        self.md5: Any = None
        self.md5_bits = 0

    def hash_samples(self, bits: int) -> None:
        """Keep an MD5 of the samples as FLAC defines it: interleaved, little-endian, in whole bytes."""
        self.md5, self.md5_bits = hashlib.md5(usedforsecurity=False), bits

    def push(self, frame: Any) -> Iterator[Samples]:
        """Take a frame; yield the blocks that it completes, int16, shape (num_out_channels, num_samples)."""
        frame.pts = None
        self._fifo.write(frame)
        while self._fifo.samples >= self._block_samples:
            yield from self._convert(self._fifo.read(self._block_samples))

    def finish(self) -> Iterator[Samples]:
        """Yield what is left in the queue and in the resampler."""
        if self._fifo.samples:
            yield from self._convert(self._fifo.read(self._fifo.samples))
        yield from _arrays(self._resampler.resample(None))

    def _convert(self, block: Any) -> Iterator[Samples]:
        if self.md5 is not None:
            self.md5.update(_flac_bytes(block, self.md5_bits))
        if self._num_channels > 2:
            block = self._downmixed(block)
        elif self._format in _FLOATS:
            block = self._within_range(block)
        if self._is_final:
            yield block.to_ndarray().reshape(-1, self._num_channels).T
        else:
            yield from _arrays(self._resampler.resample(block))

    def _within_range(self, block: Any) -> Any:
        values = block.to_ndarray()
        if self._check(values):
            return block
        # Clipped here: a resampler turns values far beyond full scale into noise of either sign.
        return self._frame(np.clip(values, -FULL_SCALE, FULL_SCALE), block.format.name, block.layout.name)

    def _downmixed(self, block: Any) -> Any:
        if self._format not in ("flt", "dbl"):
            (block,) = self._packer.resample(block) if self._packer else (block,)
        values = block.to_ndarray().reshape(-1, self._num_channels)
        self._check(values)
        mean = np.clip(values, -FULL_SCALE, FULL_SCALE).mean(axis=1, dtype=np.float32)
        return self._frame(mean[None, :], "fltp", "mono")

    def _check(self, values: npt.NDArray[np.floating[Any]]) -> bool:
        """Refuse what is no number; True when nothing is beyond full scale."""
        low, high = float(values.min()), float(values.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise AudioError(ErrorCode.NON_FINITE, "the samples hold NaN or infinity")
        peak = max(-low, high)
        self.is_out_of_range |= peak > self._ceiling
        return peak <= FULL_SCALE

    def _frame(self, values: npt.NDArray[np.floating[Any]], format_name: str, layout: str) -> Any:
        frame = av.AudioFrame.from_ndarray(values, format=format_name, layout=layout)
        frame.sample_rate = self._rate_hz
        return frame


def signature(frame: Any) -> tuple[str, int, int]:
    """Format, rate in Hz and number of channels: what must hold for frames to share a converter."""
    return frame.format.name, frame.sample_rate, frame.layout.nb_channels


def _arrays(frames: list[Any]) -> Iterator[Samples]:
    return (frame.to_ndarray() for frame in frames if frame.samples)


def _flac_bytes(block: Any, bits: int) -> bytes:
    """FFmpeg keeps FLAC samples in the high bits of 16 or 32; FLAC hashes them in the low bits of whole bytes."""
    values = block.to_ndarray()
    if block.format.is_planar:
        values = values.T
    held_bits, num_bytes = values.dtype.itemsize * 8, (bits + 7) // 8
    if held_bits == bits:
        return bytes(np.ascontiguousarray(values))
    shifted = np.ascontiguousarray(values >> (held_bits - bits))
    return shifted.view(np.uint8).reshape(-1, values.dtype.itemsize)[:, :num_bytes].tobytes()
