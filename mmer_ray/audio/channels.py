"""Whether the two channels of a recording hold two parties, or one signal twice, or one signal and nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np

from mmer_ray.audio.quality import CHUNK_SAMPLES, LOUD_FRAME_PEAK, SILENT_PEAK, channel_peaks
from mmer_ray.errors import Flag
from mmer_ray.records import Samples

SAME_CORRELATION = 0.99
DEAD_PEAK = 8
"""-72 dBFS, where the other channel passes -40 dBFS: hum of an open input, not a quiet party."""


class Kind(Enum):
    """How the channels relate."""

    UNDECIDED = "undecided"
    """Nothing was heard yet."""
    APART = "apart"
    ONE = "one"
    """A single channel in the file."""
    SAME = "same"
    OPPOSITE = "opposite"
    FIRST_DEAD = "first dead"
    SECOND_DEAD = "second dead"


@dataclass(frozen=True, slots=True)
class Track:
    """What is handed on of one channel in one window."""

    channel: int
    samples: Samples
    """int16, shape (num_samples,)."""
    apart: bool


class ChannelPlan:
    """Decides on the first window in which anything is heard; the decision holds for the whole recording."""

    def __init__(self, num_channels: int) -> None:
        self._kind = Kind.ONE if num_channels == 1 else Kind.UNDECIDED

    def tracks(self, samples: Samples) -> Iterator[Track]:
        """Split one window, int16, shape (num_channels, num_samples)."""
        if self._kind is Kind.UNDECIDED:
            self._kind = relation(samples)
        if self._kind is Kind.APART:
            yield from (Track(channel, samples[channel], apart=True) for channel in (0, 1))
        else:
            channel = 1 if self._kind is Kind.FIRST_DEAD else 0
            yield Track(channel, self._joined(samples, channel), apart=False)

    @property
    def flags(self) -> set[Flag]:
        if self._kind is Kind.OPPOSITE:
            return {Flag.ANTIPHASE}
        return {Flag.DEAD_CHANNEL} if self._kind in (Kind.FIRST_DEAD, Kind.SECOND_DEAD) else set()

    def _joined(self, samples: Samples, channel: int) -> Samples:
        """The live channel; where a later window breaks the rule, a mix, so that no party's words are lost."""
        fits = self._kind in (Kind.ONE, Kind.UNDECIDED) or relation(samples) in (self._kind, Kind.UNDECIDED)
        if not fits:
            return _mix(samples, -1 if self._kind is Kind.OPPOSITE else 1)
        live: Samples = samples[channel]
        return live


def relation(samples: Samples) -> Kind:
    """How two channels relate, int16, shape (2, num_samples)."""
    peaks = channel_peaks(samples)
    if peaks.max() <= SILENT_PEAK:
        return Kind.UNDECIDED
    if peaks.min() <= DEAD_PEAK and peaks.max() >= LOUD_FRAME_PEAK:
        return Kind.FIRST_DEAD if peaks[0] < peaks[1] else Kind.SECOND_DEAD
    correlation = _correlation(samples)
    if abs(correlation) <= SAME_CORRELATION:
        return Kind.APART
    return Kind.SAME if correlation > 0 else Kind.OPPOSITE


def _correlation(samples: Samples) -> float:
    products = np.zeros(3)
    for start in range(0, samples.shape[1], CHUNK_SAMPLES):
        first, second = samples[:, start : start + CHUNK_SAMPLES].astype(np.float64)
        products += (first @ second, first @ first, second @ second)
    return float(products[0] / np.sqrt(products[1] * products[2])) if products[1:].all() else 0.0


def _mix(samples: Samples, sign: int) -> Samples:
    """Half of each channel, the second turned round for sign -1, chunk by chunk to stay small."""
    mixed = np.empty(samples.shape[1], dtype=np.int16)
    for start in range(0, samples.shape[1], CHUNK_SAMPLES):
        first, second = samples[:, start : start + CHUNK_SAMPLES].astype(np.int32)
        mixed[start : start + CHUNK_SAMPLES] = (first + sign * second) >> 1
    return mixed
