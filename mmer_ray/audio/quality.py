"""Flags from the 16 kHz samples: what is odd about a recording that can be scored all the same.

Levels are in units of the int16 sample; full scale is 32,768.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mmer_ray.audio.pcm import INT16_SCALE
from mmer_ray.audio.windows import FRAME_SAMPLES
from mmer_ray.errors import Flag
from mmer_ray.records import SAMPLE_RATE_HZ, Samples

MIN_DURATION_S = 0.1
SILENT_PEAK = 1
"""One step: dither, rounding, denormals. Nothing can be heard in it."""
LOW_PEAK = 104
"""-50 dBFS, beside an offset. Speech recorded on purpose peaks 30 dB above it."""
CLIPPED_AT = 32_700
CLIPPED_SHARE = 1e-3
"""Of the samples in the 10 ms frames that reach -40 dBFS; clean loud speech stays below a tenth of this."""
LOUD_FRAME_PEAK = 328
DC_OFFSET = 655
"""2 % of full scale."""
DROPOUT_FRAMES = 30
"""0.3 s of exact zeros right behind a frame that is loud: a cut, where a gate or a fade would have decayed first."""
CHUNK_SAMPLES = 10 * SAMPLE_RATE_HZ


class Quality:
    """Running measures over the windows of one recording."""

    def __init__(self, num_channels: int) -> None:
        self._num_samples = 0
        self._low = np.full(num_channels, INT16_SCALE, dtype=np.int64)
        self._high = np.full(num_channels, -INT16_SCALE, dtype=np.int64)
        self._sum = np.zeros(num_channels, dtype=np.int64)
        self._num_clipped = 0
        self._num_loud = 0
        self._dropouts = [Dropouts() for _ in range(num_channels)]

    def update(self, samples: Samples) -> None:
        """Take one window, int16, shape (num_channels, num_samples). All but the last start on the 10 ms grid."""
        self._num_samples += samples.shape[1]
        for start in range(0, samples.shape[1], CHUNK_SAMPLES):
            self._update_chunk(samples[:, start : start + CHUNK_SAMPLES])

    def _update_chunk(self, chunk: Samples) -> None:
        self._sum += chunk.sum(axis=1, dtype=np.int64)
        self._low = np.minimum(self._low, chunk.min(axis=1))
        self._high = np.maximum(self._high, chunk.max(axis=1))
        peaks = frame_peaks(chunk)
        self._num_loud += int(np.count_nonzero(peaks >= LOUD_FRAME_PEAK)) * FRAME_SAMPLES
        if max(-self._low.min(), self._high.max()) >= CLIPPED_AT:
            self._num_clipped += int(np.count_nonzero((chunk >= CLIPPED_AT) | (chunk <= -CLIPPED_AT)))
        for dropouts, of_channel in zip(self._dropouts, peaks, strict=True):
            dropouts.update(of_channel)

    def flags(self) -> set[Flag]:
        if self._num_samples < MIN_DURATION_S * SAMPLE_RATE_HZ:
            # Measures of so few samples mean nothing.
            return {Flag.TOO_SHORT}
        if max(-self._low.min(), self._high.max()) <= SILENT_PEAK:
            return {Flag.NO_SPEECH}
        offsets = self._sum / self._num_samples
        peak = float(np.maximum(self._high - offsets, offsets - self._low).max())
        found = {
            Flag.LOW_LEVEL: SILENT_PEAK < peak < LOW_PEAK,
            Flag.CLIPPED: self._num_clipped > CLIPPED_SHARE * self._num_loud,
            Flag.DC_OFFSET: float(np.abs(offsets).max()) > DC_OFFSET,
            Flag.DROPOUT: any(dropouts.found for dropouts in self._dropouts),
        }
        return {flag for flag, holds in found.items() if holds}


class Dropouts:
    """Looks for a stretch of exact zeros between a loud frame and more sound, across windows."""

    def __init__(self) -> None:
        self.found = False
        self._previous_peak = 0
        self._zero_frames = 0
        self._began_loud = False

    def update(self, peaks: npt.NDArray[np.int32]) -> None:
        """Take the peaks of consecutive 10 ms frames, shape (num_frames,)."""
        if self.found or not len(peaks):
            return
        is_zero = peaks == 0
        edges = np.flatnonzero(np.diff(is_zero)) + 1
        for start, end in zip([0, *edges], [*edges, len(peaks)], strict=True):
            if is_zero[start]:
                if not self._zero_frames:
                    self._began_loud = self._previous_peak >= LOUD_FRAME_PEAK
                self._zero_frames += int(end - start)
            else:
                self.found |= self._began_loud and self._zero_frames >= DROPOUT_FRAMES
                self._zero_frames = 0
                self._previous_peak = int(peaks[end - 1])


def channel_peaks(samples: Samples) -> npt.NDArray[np.int64]:
    """Largest magnitude of each channel: int16 (num_channels, num_samples) -> int64 (num_channels,)."""
    if not samples.shape[1]:
        return np.zeros(samples.shape[0], dtype=np.int64)
    low, high = samples.min(axis=1).astype(np.int64), samples.max(axis=1).astype(np.int64)
    peaks: npt.NDArray[np.int64] = np.maximum(-low, high)
    return peaks


def frame_peaks(samples: Samples) -> npt.NDArray[np.int32]:
    """Largest magnitude of each whole 10 ms frame.

    int16, shape (num_channels, num_samples) -> int32, shape (num_channels, num_frames).
    """
    num_frames = samples.shape[1] // FRAME_SAMPLES
    frames = samples[:, : num_frames * FRAME_SAMPLES].reshape(samples.shape[0], num_frames, FRAME_SAMPLES)
    peaks: npt.NDArray[np.int32] = np.maximum(-frames.min(axis=2).astype(np.int32), frames.max(axis=2))
    return peaks
