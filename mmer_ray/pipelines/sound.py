"""The sound of one channel of a recording: only the stretches that are still needed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mmer_ray.records import Samples

Range = tuple[int, int]
"""First sample and one past the last, counted from the recording's start."""


class ChannelSound:
    """Takes a channel's sound piece by piece, in any order, and gives back stretches across the pieces."""

    def __init__(self) -> None:
        self._pieces: dict[int, Samples] = {}
        self._first: int | None = None
        self._end = 0

    @property
    def num_samples(self) -> int:
        """Samples that are held."""
        return sum(len(samples) for samples in self._pieces.values())

    def add(self, begin: int, samples: Samples) -> None:
        """Take the int16 samples from `begin` on, shape (num_samples,)."""
        self._pieces[begin] = samples
        self._first = begin if self._first is None else min(begin, self._first)
        self._end = max(self._end, begin + len(samples))

    def cut(self, begin: int, end: int) -> Samples:
        """Copy a stretch; what lies before the channel's first sample or after its last is left out.

        The stretch must have been kept.
        """
        begin, end = max(begin, self._end if self._first is None else self._first), min(end, self._end)
        parts: list[Samples] = []
        at = begin
        for first in sorted(self._pieces):
            samples = self._pieces[first]
            if first <= at < min(end, first + len(samples)):
                parts.append(samples[at - first : end - first])
                at += len(parts[-1])
        assert at >= end, "a stretch that is asked for was kept"
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int16)

    def keep(self, ranges: Iterable[Range]) -> None:
        """Let go of everything outside these ranges."""
        kept: dict[int, Samples] = {}
        for begin, end in _union(ranges):
            for first, samples in self._pieces.items():
                low, high = max(begin, first), min(end, first + len(samples))
                if low < high:
                    whole = high - low == len(samples)
                    # A copy: a view would keep the whole window alive.
                    kept[low] = samples if whole else samples[low - first : high - first].copy()
        self._pieces = kept


def _union(ranges: Iterable[Range]) -> list[Range]:
    joined: list[Range] = []
    for begin, end in sorted(ranges):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined
