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

from mmer_ray.audio.downmix import Downmix
from mmer_ray.audio.limits import check_limits
from mmer_ray.audio.timeline import Placement
from mmer_ray.errors import AudioError, ErrorCode, Flag
from mmer_ray.records import SAMPLE_RATE_HZ, Samples

BLOCK_VALUES = 1 << 18
"""Most values (samples times channels) in a block: 2 MB as 64-bit floats."""
MIN_BLOCK_SAMPLES = 1024
FULL_SCALE = 1.0
LOSSY_FULL_SCALE = 2.0
"""Lossy codecs overshoot full scale on loud sound as a matter of course; twice full scale is damage."""

_FLOATS = {"flt", "fltp", "dbl", "dblp"}
_LOSSLESS_PREFIXES = ("pcm_", "flac", "alac", "wavpack", "ape", "tta")
_DTYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}
_UNSIGNED_ZERO = 128
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
        self._downmix = Downmix(self._num_channels) if self._num_channels > 2 else None
        self._layout = frame.layout.name
        self._is_out_of_range = False
        self.md5: Any = None
        self.md5_bits = 0

    def hash_samples(self, bits: int) -> None:
        """Keep an MD5 of the samples as FLAC defines it: interleaved, little-endian, in whole bytes."""
        self.md5, self.md5_bits = hashlib.md5(usedforsecurity=False), bits

    def push(self, frame: Any, num_skipped: int = 0) -> Iterator[Samples]:
        """Take a frame without its first samples; yield the blocks that it completes.

        Blocks are int16, shape (num_out_channels, num_samples).
        """
        if num_skipped:
            yield from self._drain()
        frame.pts = None
        self._fifo.write(frame)
        if num_skipped:
            self._fifo.read(num_skipped)
        while self._fifo.samples >= self._block_samples:
            yield from self._convert(self._fifo.read(self._block_samples))

    def silence(self, duration_s: float) -> Iterator[Samples]:
        """Yield what is queued and so many seconds of silence behind it, in blocks as `push` does."""
        yield from self._drain()
        left = round(duration_s * self._rate_hz)
        while left:
            num_samples = min(left, self._block_samples)
            left -= num_samples
            yield from self._resampled(self._silent(num_samples))

    def finish(self) -> Iterator[Samples]:
        """Yield what is left in the queue and in the resampler."""
        yield from self._drain()
        yield from _arrays(self._resampler.resample(None))

    @property
    def flags(self) -> set[Flag]:
        found = {
            Flag.OUT_OF_RANGE: self._is_out_of_range,
            Flag.ANTIPHASE: self._downmix is not None and self._downmix.has_turned,
        }
        return {flag for flag, holds in found.items() if holds}

    def _drain(self) -> Iterator[Samples]:
        if self._fifo.samples:
            yield from self._convert(self._fifo.read(self._fifo.samples))

    def _convert(self, block: Any) -> Iterator[Samples]:
        if self.md5 is not None:
            self.md5.update(_flac_bytes(block, self.md5_bits))
        if self._downmix is not None:
            block = self._downmixed(block, self._downmix)
        elif self._format in _FLOATS:
            block = self._within_range(block)
        yield from self._resampled(block)

    def _resampled(self, block: Any) -> Iterator[Samples]:
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

    def _downmixed(self, block: Any, downmix: Downmix) -> Any:
        if self._format not in ("flt", "dbl"):
            (block,) = self._packer.resample(block) if self._packer else (block,)
        values = block.to_ndarray().reshape(-1, self._num_channels)
        self._check(values)
        return self._frame(downmix(np.clip(values, -FULL_SCALE, FULL_SCALE))[None, :], "fltp", "mono")

    def _silent(self, num_samples: int) -> Any:
        """Silence in the form that the resampler gets."""
        if self._downmix is not None:
            return self._frame(np.zeros((1, num_samples), dtype=np.float32), "fltp", "mono")
        form = av.AudioFormat(self._format)
        zero = _UNSIGNED_ZERO if form.name.startswith("u8") else 0
        shape = (self._num_channels, num_samples) if form.is_planar else (1, num_samples * self._num_channels)
        return self._frame(np.full(shape, zero, dtype=_DTYPES[form.packed.name]), form.name, self._layout)

    def _check(self, values: npt.NDArray[np.floating[Any]]) -> bool:
        """Refuse what is no number; True when nothing is beyond full scale."""
        low, high = float(values.min()), float(values.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise AudioError(ErrorCode.NON_FINITE, "the samples hold NaN or infinity")
        peak = max(-low, high)
        self._is_out_of_range |= peak > self._ceiling
        return peak <= FULL_SCALE

    def _frame(self, values: npt.NDArray[Any], format_name: str, layout: str) -> Any:
        frame = av.AudioFrame.from_ndarray(values, format=format_name, layout=layout)
        frame.sample_rate = self._rate_hz
        return frame


class Conversion:
    """All frames of a recording, whose format may change on the way, to samples of one form."""

    def __init__(self, codec: str, md5: bytes | None, md5_bits: int) -> None:
        """`md5`: of all samples, where the file brings it, which have `md5_bits` bits."""
        self._is_lossy = not codec.startswith(_LOSSLESS_PREFIXES)
        self._md5, self._md5_bits = md5, md5_bits
        self._converter: Converter | None = None
        self.source: tuple[str, int, int] | None = None
        """The first frame's format, rate and channels. Some codecs (AAC with parametric stereo) only know these once
        they have decoded."""
        self.flags: set[Flag] = set()

    def push(self, frame: Any, placement: Placement) -> Iterator[Samples]:
        """Take a frame and what goes in front of it; yield int16, shape (num_out_channels, num_samples)."""
        if self._converter is None or signature(frame) != self._converter.signature:
            if self._converter is not None:
                self.flags.add(Flag.FORMAT_CHANGE)
            yield from self.finish()
            self._converter = self._started(frame)
        if placement.silence_s:
            yield from self._converter.silence(placement.silence_s)
        yield from self._converter.push(frame, round(placement.repeated_s * frame.sample_rate))

    def silence(self, duration_s: float) -> Iterator[Samples]:
        """Yield silence behind the last frame."""
        assert self._converter is not None, "silence has the form of the frame before"
        yield from self._converter.silence(duration_s)

    def finish(self) -> Iterator[Samples]:
        """Yield what is left."""
        if self._converter is not None:
            yield from self._converter.finish()
            self.flags |= self._converter.flags

    def md5_holds(self) -> bool:
        """Whether the samples are those that the file's MD5 speaks of; True where it brings none."""
        if self._converter is None or self._converter.md5 is None:
            return True
        return bool(self._converter.md5.digest() == self._md5)

    def _started(self, frame: Any) -> Converter:
        check_limits(frame.sample_rate, frame.layout.nb_channels)
        self.source = self.source or signature(frame)
        converter = Converter(frame, num_out_channels(self.source[2]), is_lossy=self._is_lossy)
        if self._md5 is not None and Flag.FORMAT_CHANGE not in self.flags:
            converter.hash_samples(self._md5_bits)
        return converter


def num_out_channels(num_channels: int) -> int:
    """Two channels may be two parties; more are mixed."""
    return 2 if num_channels == 2 else 1


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
