"""Where one channel's speech begins and ends, told while it comes.

The rule is that of `audio/vad.py`, frame by frame, with a longer silence at the end: who pauses to think has not
finished.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mmer_ray.audio.level import Correction, correction_of
from mmer_ray.audio.vad import (
    EXIT_FRACTION,
    FRAME_S,
    MIN_SPEECH_S,
    PADDING_AFTER_S,
    PADDING_BEFORE_S,
    LiveDetector,
)
from mmer_ray.records import SAMPLE_RATE_HZ, Samples

END_SILENCE_S = 0.6
"""So much silence ends a stretch: pauses inside a sentence are mostly shorter than half a second."""
LONG_S = 8.0
LONG_END_SILENCE_S = 0.35
"""A stretch that is already so long ends at a shorter silence: who listens has waited for its words."""
MAX_STRETCH_S = 20.0
"""Longer speech is cut at its quietest moment, so that its words do not wait for its end."""
SEARCH_S = 6.0
"""The cut is looked for in so many seconds before the limit."""
LEVEL_OVER_S = 10.0
"""The level of speech is measured over so many seconds ..."""
LEVEL_EVERY_S = 1.0
"""... and so often: speech grows quiet when somebody turns away, not between two syllables."""

_END_FRAMES = round(END_SILENCE_S / FRAME_S)
_LONG_END_FRAMES = round(LONG_END_SILENCE_S / FRAME_S)
_LONG_FRAMES = round(LONG_S / FRAME_S)
_MAX_FRAMES = round(MAX_STRETCH_S / FRAME_S)
_SEARCH_FRAMES = round(SEARCH_S / FRAME_S)
_MIN_FRAMES = MIN_SPEECH_S / FRAME_S


class Stretch(NamedTuple):
    """Speech without a long pause."""

    start_s: float
    """Seconds from the start of the sound, as `end_s`."""
    end_s: float


class Endpointer:
    """Listens to one channel. What it finds hangs on the samples alone, not on the sizes of the pieces that they come
    in. One thread at a time."""

    def __init__(self, detector: LiveDetector) -> None:
        self._detector = detector
        self._level = RunningLevel()
        self._num_frames = 0
        self._num_samples = 0
        self._free_s = 0.0
        """Everything before it was let go of."""
        self._probabilities: list[float] = []
        """Of the frames of the open stretch."""
        self._last_voiced = 0
        """The open stretch's last frame with speech, counted from the sound's start."""
        self._run = 0
        """Frames with speech in a row."""
        self._has_speech = False
        """The open stretch has a run too long for a click."""

    @property
    def is_speaking(self) -> bool:
        """Whether somebody speaks, or spoke less than `END_SILENCE_S` ago."""
        return bool(self._probabilities) and self._has_speech

    def push(self, samples: Samples) -> list[Stretch]:
        """Take int16 samples at 16 kHz, shape (num_samples,); give back the stretches that they end."""
        self._num_samples += len(samples)
        levelled = self._level.applied(samples)
        found = (self._frame(float(p)) for p in self._detector.probabilities(levelled))
        return [stretch for stretch in found if stretch is not None]

    def finish(self) -> list[Stretch]:
        """Give back the stretch that the end of the sound ends."""
        ended = self._ended() if self._probabilities else None
        return [] if ended is None else [ended]

    def _frame(self, probability: float) -> Stretch | None:
        threshold = self._detector.threshold
        frame, self._num_frames = self._num_frames, self._num_frames + 1
        if not self._probabilities and probability < threshold:
            return None
        self._probabilities.append(probability)
        is_voiced = probability >= threshold * EXIT_FRACTION
        self._run = self._run + 1 if is_voiced else 0
        self._has_speech |= self._run >= _MIN_FRAMES
        if is_voiced:
            self._last_voiced = frame
        elif frame - self._last_voiced >= self._end_frames:
            return self._ended()
        return self._cut() if len(self._probabilities) >= _MAX_FRAMES else None

    @property
    def _end_frames(self) -> int:
        return _LONG_END_FRAMES if len(self._probabilities) >= _LONG_FRAMES else _END_FRAMES

    def _ended(self) -> Stretch | None:
        """Close the open stretch; None where it was a click."""
        end_s = min((self._last_voiced + 1) * FRAME_S + PADDING_AFTER_S, self._num_samples / SAMPLE_RATE_HZ)
        return self._closed(end_s, [])

    def _cut(self) -> Stretch | None:
        """Close the open stretch at its quietest frame, the latest of equals, and go on behind it."""
        searched = self._probabilities[-_SEARCH_FRAMES:]
        num_behind = int(np.argmin(searched[::-1]))
        # At least one frame stays: the next stretch begins where this one is cut.
        num_behind = max(num_behind, 1)
        return self._closed((self._num_frames - num_behind) * FRAME_S, self._probabilities[-num_behind:])

    def _closed(self, end_s: float, kept: list[float]) -> Stretch | None:
        first_s = (self._num_frames - len(self._probabilities)) * FRAME_S
        start_s, was_speech = max(self._free_s, first_s - PADDING_BEFORE_S), self._has_speech
        self._probabilities, self._has_speech = kept, min(self._run, len(kept)) >= _MIN_FRAMES
        if not was_speech:
            return None
        self._free_s = end_s
        return Stretch(start_s, end_s)


class RunningLevel:
    """Raises quiet speech and takes out offsets as `audio/level.py` does, by what the last seconds held."""

    def __init__(self) -> None:
        self._correction = Correction()
        self._recent: Samples = np.empty(0, dtype=np.int16)
        self._num_new = 0

    def applied(self, samples: Samples) -> Samples:
        """Correct the samples that follow, int16, shape (num_samples,), by what was measured up to the last second."""
        parts: list[Samples] = []
        step = int(LEVEL_EVERY_S * SAMPLE_RATE_HZ)
        while len(samples):
            part, samples = samples[: step - self._num_new], samples[step - self._num_new :]
            parts.append(self._correction.applied(part))
            self._recent = np.concatenate([self._recent, part])[-int(LEVEL_OVER_S * SAMPLE_RATE_HZ) :]
            self._num_new += len(part)
            if self._num_new == step:
                self._correction, self._num_new = correction_of(self._recent), 0
        return np.concatenate(parts) if parts else samples
