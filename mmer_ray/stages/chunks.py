"""The stretches of a window that the recognizer reads at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mmer_ray.audio.loudness import quietest
from mmer_ray.records import SAMPLE_RATE_HZ, Samples, Window
from mmer_ray.stages.intervals import union

PAUSE_S = 0.25
"""A cut lies in the middle of the quietest stretch of this length: a pause where there is one."""
MIN_PART_S = 1.0
"""A cut leaves at least this on either side."""


@dataclass(frozen=True)
class Chunk:
    """Samples `begin`..`end` of the window at position `window` of the batch."""

    window: int
    begin: int
    end: int

    @property
    def num_samples(self) -> int:
        return self.end - self.begin


def cut_chunks(windows: Sequence[Window], max_chunk_s: float) -> list[Chunk]:
    """Cut the speech of windows (the union of their turns) into chunks of at most `max_chunk_s`, in order of time."""
    chunks: list[Chunk] = []
    for position, window in enumerate(windows):
        for start_s, end_s in union((turn.start_s, turn.end_s) for turn in window.turns):
            begin = max(0, round((start_s - window.start_s) * SAMPLE_RATE_HZ))
            end = min(len(window.samples), round((end_s - window.start_s) * SAMPLE_RATE_HZ))
            cuts = [begin, *_cuts(window.samples, begin, end, round(max_chunk_s * SAMPLE_RATE_HZ)), end]
            chunks.extend(Chunk(position, *cut) for cut in pairwise(cuts) if cut[0] < cut[1])
    return chunks


def _cuts(samples: Samples, begin: int, end: int, max_samples: int) -> list[int]:
    """Choose where to cut `begin`..`end` so that no part is longer than `max_samples`: sorted, often none."""
    if end - begin <= max_samples:
        return []
    # Short parts only come from cuts near the ends of the stretch.
    margin = min(round(MIN_PART_S * SAMPLE_RATE_HZ), max_samples // 4)
    cut = quietest(samples, begin + margin, end - margin, PAUSE_S)
    if cut is None:
        cut = (begin + end) // 2
    return [*_cuts(samples, begin, cut, max_samples), cut, *_cuts(samples, cut, end, max_samples)]
