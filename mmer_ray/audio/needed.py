"""Which windows of a recording are still needed, where the utterances are known and their clips alone are asked for.

A window's samples hang on all of it (its level, its offset, who leaked into whom) and on the windows before it, so a
clip is never cut out of less than its window: what is saved is everything that comes behind the last clip, which is
hashed and not decoded, and windows without a clip, which are not made ready or sent.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from mmer_ray.records import SAMPLE_RATE_HZ

SoundRange = tuple[int, int, int]
"""Channel, first sample and one past the last, at 16 kHz from the recording's start."""
CLOSE_SAMPLES = 20 * SAMPLE_RATE_HZ
"""Ranges nearer than that count as one: windows are longer, and a request stays small (130 kB for twelve hours)."""


def needed_ranges(clips: Iterable[SoundRange]) -> list[SoundRange]:
    """The ranges that hold these clips, by channel and time; clips may begin before the recording."""
    joined: list[SoundRange] = []
    for channel, begin, end in sorted(clips):
        if joined and joined[-1][0] == channel and begin - joined[-1][2] < CLOSE_SAMPLES:
            joined[-1] = (channel, joined[-1][1], max(joined[-1][2], end))
        else:
            joined.append((channel, begin, end))
    return joined


class Needed:
    """Ranges to look windows up in."""

    def __init__(self, ranges: Iterable[Sequence[int]]) -> None:
        self._ends: dict[int, list[int]] = {}
        self._begins: dict[int, list[int]] = {}
        for channel, begin, end in sorted((int(one[0]), int(one[1]), int(one[2])) for one in ranges):
            self._begins.setdefault(channel, []).append(begin)
            self._ends.setdefault(channel, []).append(end)
        # A range may lie inside the one before it.
        self._ends = {channel: list(accumulate(ends, max)) for channel, ends in self._ends.items()}

    @property
    def end_sample(self) -> int:
        """Behind this sample nothing is needed."""
        return max((ends[-1] for ends in self._ends.values()), default=0)

    def touches(self, channel: int, begin: int, end: int) -> bool:
        """Whether a stretch of a channel, from one sample to before another, is needed in part."""
        at = bisect_left(self._ends.get(channel, []), begin + 1)
        begins = self._begins.get(channel, [])
        return at < len(begins) and begins[at] < end
