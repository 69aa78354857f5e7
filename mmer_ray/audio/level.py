"""Bringing what the models hear to a level that they know: offsets taken out, very quiet speech amplified.

Recordings at ordinary levels pass unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmer_ray.audio.envelope import CHUNK_FRAMES, FRAME_SAMPLES, FRAMES_PER_S
from mmer_ray.audio.pcm import INT16_SCALE
from mmer_ray.records import Samples

MIN_OFFSET = 33
"""0.1 % of full scale. Smaller offsets do no harm at ordinary levels."""
LOUD_S, LOUD_SHARE = 1.0, 0.1
"""The level of speech is reached for a second in all, less where less was heard."""
LOW_DB = -46.0
"""Below full scale, root mean square: the level of speech from here down is raised."""
TARGET_DB = -26.0
"""The active speech level that ITU-T P.56 measurements are set to."""
MAX_GAIN_DB = 55.0
"""Of int16 samples at -80 dB little more than three steps are left."""
MIN_RANGE_DB = 10.0
"""Between loud and quiet frames. Noise and hum have less, and are left as quiet as they are."""
SILENCE_DB = -110.0


@dataclass(frozen=True, slots=True)
class Levelled:
    """One channel of a window, made ready for the models."""

    samples: Samples
    """int16, shape (num_samples,)."""
    was_low: bool
    """Speech was so quiet that it was amplified."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What brings samples to the level that models know."""

    offset: float = 0.0
    gain: float = 1.0
    is_low: bool = False
    """There is speech, so quiet that the gain raises it."""

    def applied(self, samples: Samples) -> Samples:
        """The corrected samples, int16, shape (num_samples,); the very ones where there is nothing to do."""
        if not self.is_low and abs(self.offset) < MIN_OFFSET:
            return samples
        return _moved(samples, self.offset, self.gain)


def levelled(samples: Samples) -> Levelled:
    """Take out a constant offset and raise very quiet speech; int16, shape (num_samples,)."""
    correction = correction_of(samples)
    return Levelled(correction.applied(samples), correction.is_low)


def correction_of(samples: Samples) -> Correction:
    """Measure what is to be done to samples, int16, shape (num_samples,)."""
    offset = float(samples.mean(dtype=np.float64)) if len(samples) else 0.0
    levels_db = frame_levels_db(samples, offset)
    # Where nothing was recorded there is nothing to measure: holes, silenced leaks.
    levels_db = levels_db[levels_db > SILENCE_DB]
    if not len(levels_db):
        return Correction()
    num_loud = max(1, round(min(LOUD_S * FRAMES_PER_S, LOUD_SHARE * len(levels_db))))
    speech_db = float(np.partition(levels_db, -num_loud)[-num_loud])
    has_pauses = speech_db - float(np.percentile(levels_db, 10)) >= MIN_RANGE_DB
    is_low = speech_db < LOW_DB and has_pauses
    gain_db = min(TARGET_DB - speech_db, MAX_GAIN_DB) if is_low else 0.0
    return Correction(offset, 10 ** (gain_db / 20), is_low)


def frame_levels_db(samples: Samples, offset: float) -> NDArray[np.float64]:
    """The level of each whole frame of 20 ms, offset aside, in dB below full scale: shape (num_frames,)."""
    num_frames = len(samples) // FRAME_SAMPLES
    powers = np.empty(num_frames)
    frames = samples[: num_frames * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    for first in range(0, num_frames, CHUNK_FRAMES):
        part = frames[first : first + CHUNK_FRAMES].astype(np.float32) - np.float32(offset)
        powers[first : first + CHUNK_FRAMES] = np.einsum("fs,fs->f", part, part) / FRAME_SAMPLES
    return 10 * np.log10(powers / INT16_SCALE**2 + 10 ** (SILENCE_DB / 10 - 1))


def _moved(samples: Samples, offset: float, gain: float) -> Samples:
    moved = np.empty_like(samples)
    step = CHUNK_FRAMES * FRAME_SAMPLES
    for start in range(0, len(samples), step):
        values = (samples[start : start + step].astype(np.float32) - np.float32(offset)) * np.float32(gain)
        moved[start : start + step] = np.clip(np.rint(values), -INT16_SCALE, INT16_SCALE - 1).astype(np.int16)
    return moved
