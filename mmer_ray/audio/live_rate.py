"""To 16 kHz while the sound comes, by the resampler that files go through (`convert.py`), without its blocks."""

from __future__ import annotations

import av
import numpy as np

from mmer_ray.audio.limits import check_limits
from mmer_ray.records import SAMPLE_RATE_HZ, Samples


class LiveRate:
    """Converts one channel. What comes out hangs on the samples alone; it lags by some milliseconds."""

    def __init__(self, rate_hz: int) -> None:
        """Raises `AudioError` for a rate that is not read."""
        check_limits(rate_hz, 1)
        self._rate_hz = rate_hz
        self._resampler = (
            None if rate_hz == SAMPLE_RATE_HZ else av.AudioResampler(format="s16p", layout="mono", rate=SAMPLE_RATE_HZ)
        )

    def converted(self, samples: Samples) -> Samples:
        """Take int16 samples, shape (num_samples,); give back those at 16 kHz that are ready."""
        if self._resampler is None or not len(samples):
            return samples
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None, :], format="s16p", layout="mono")
        frame.sample_rate = self._rate_hz
        return self._joined(self._resampler.resample(frame))

    def finish(self) -> Samples:
        """Give back what is left in the resampler."""
        return self._joined([] if self._resampler is None else self._resampler.resample(None))

    def _joined(self, frames: list[av.AudioFrame]) -> Samples:
        parts = [frame.to_ndarray().reshape(-1) for frame in frames if frame.samples]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int16)
