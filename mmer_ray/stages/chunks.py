"""The stretches of a window that the recognizer reads at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from mmer_ray.audio.loudness import quietest
from mmer_ray.records import SAMPLE_RATE_HZ, Samples, Window
from mmer_ray.stages.intervals import union

PAUSE_S = 0.25
"""A cut lies in the middle of the quietest stretch of this length: a pause where there is one."""
MIN_PART_S = 1.0
"""A cut leaves at least this on either side."""

Part = tuple[int, int]
"""First sample of a window and one past the last."""


@dataclass(frozen=True)
class Chunk:
    """Parts of the window at position `window` of the batch, in order of time, put together."""

    window: int
    parts: tuple[Part, ...]

    @property
    def num_samples(self) -> int:
        return sum(end - begin for begin, end in self.parts)

    @property
    def splices(self) -> tuple[int, ...]:
        """Samples of the chunk at which its second and later parts begin."""
        return tuple(accumulate(end - begin for begin, end in self.parts[:-1]))

    def cut(self, samples: Samples) -> Samples:
        """The chunk's sound out of its window's: int16, shape (num_samples,)."""
        return np.concatenate([samples[begin:end] for begin, end in self.parts])

    def in_window(self, start_s: float, end_s: float) -> tuple[float, float]:
        """From seconds of the chunk to seconds of its window. What crosses into another part ends in its own."""
        middle = (start_s + end_s) / 2 * SAMPLE_RATE_HZ
        first = 0
        for position, (begin, end) in enumerate(self.parts):
            if middle < first + end - begin or position == len(self.parts) - 1:
                break
            first += end - begin
        shift_s = (begin - first) / SAMPLE_RATE_HZ
        if len(self.parts) == 1:
            return start_s + shift_s, end_s + shift_s
        # A recognizer may place the last word past the sound: only a splice is a border.
        earliest_s = begin / SAMPLE_RATE_HZ
        return max(start_s + shift_s, earliest_s), min(end_s + shift_s, end / SAMPLE_RATE_HZ)


def cut_chunks(
    windows: Sequence[Window], max_chunk_s: float, *, pack: bool = False, margin_s: float = 0.0
) -> list[Chunk]:
    """Cut the speech of windows (the union of their turns) into chunks of at most `max_chunk_s`, in order of time.

    Each chunk is one stretch of speech, or, with `pack`, as many of one window, one after the other, as fit. A stretch
    begins and ends up to `margin_s` before and after the turns, where nobody speaks: two that come together there are
    one, and no sound is read twice.
    """
    chunks: list[Chunk] = []
    for position, window in enumerate(windows):
        parts = _parts(window, round(max_chunk_s * SAMPLE_RATE_HZ), margin_s)
        groups = _packed(parts, round(max_chunk_s * SAMPLE_RATE_HZ)) if pack else ((part,) for part in parts)
        chunks.extend(Chunk(position, group) for group in groups)
    return chunks


def _parts(window: Window, max_samples: int, margin_s: float) -> Iterator[Part]:
    for start_s, end_s in union((turn.start_s - margin_s, turn.end_s + margin_s) for turn in window.turns):
        begin = max(0, round((start_s - window.start_s) * SAMPLE_RATE_HZ))
        end = min(len(window.samples), round((end_s - window.start_s) * SAMPLE_RATE_HZ))
        cuts = [begin, *_cuts(window.samples, begin, end, max_samples), end]
        yield from (part for part in pairwise(cuts) if part[0] < part[1])


def _packed(parts: Iterator[Part], max_samples: int) -> Iterator[tuple[Part, ...]]:
    """Put parts together while they fit; parts that touch become one again."""
    group: list[Part] = []
    num_samples = 0
    for begin, end in parts:
        if group and num_samples + end - begin > max_samples:
            yield tuple(group)
            group, num_samples = [], 0
        num_samples += end - begin
        if group and group[-1][1] == begin:
            group[-1] = (group[-1][0], end)
        else:
            group.append((begin, end))
    if group:
        yield tuple(group)


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
