"""Stretches of sound put out of hearing: a tone or silence in their place, on every channel."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum

import numpy as np

from mmer_ray.records import SAMPLE_RATE_HZ, SAMPLES_PER_MS, Samples

MARGIN_MS = 200
"""Covered before and after a stretch: recognizers place words a tenth of a second off, and words fade."""
TONE_HZ = 1_000
"""The usual tone of broadcasting. A period is 16 whole samples."""
TONE_AMPLITUDE = 3_277
"""A tenth of full scale, -20 dB: heard in any recording, and no louder than speech."""


class Cover(StrEnum):
    """What is heard in place of a stretch."""

    TONE = "tone"
    SILENCE = "silence"


def sample_ranges(stretches_s: Iterable[tuple[float, float]]) -> list[tuple[int, int]]:
    """First sample and one past the last of each stretch (start and end in seconds) with its margin. Sorted; those that
    meet are one.

    >>> sample_ranges([(1.0, 1.5), (0.1, 0.2)])
    [(0, 6400), (12800, 27200)]
    """
    ranges: list[tuple[int, int]] = []
    for start_s, end_s in sorted(stretches_s):
        # Times of the lake are whole milliseconds, which floats miss by a hair.
        first = max(0, math.floor(round(start_s * 1000, 3)) - MARGIN_MS) * SAMPLES_PER_MS
        end = (math.ceil(round(end_s * 1000, 3)) + MARGIN_MS) * SAMPLES_PER_MS
        if ranges and first <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(end, ranges[-1][1]))
        else:
            ranges.append((first, end))
    return ranges


def covered(block: Samples, first_sample: int, ranges: Sequence[tuple[int, int]], cover: Cover) -> Samples:
    """A copy of a block with the ranges covered on all channels; every other sample is as it was.

    `block`: int16, shape (num_channels, num_samples), of which the first is sample `first_sample` of the recording.
    """
    done = block.copy()
    for first, end in ranges:
        begin, stop = max(first - first_sample, 0), min(end - first_sample, block.shape[1])
        if begin < stop:
            done[:, begin:stop] = _tone(first_sample + begin, stop - begin) if cover is Cover.TONE else 0
    return done


def _tone(first_sample: int, num_samples: int) -> Samples:
    """Its phase follows from the sample's place in the recording, so that blocks join."""
    places = np.arange(first_sample, first_sample + num_samples, dtype=np.int64) % (SAMPLE_RATE_HZ // TONE_HZ)
    tone: Samples = np.rint(TONE_AMPLITUDE * np.sin(2 * np.pi * places * TONE_HZ / SAMPLE_RATE_HZ)).astype(np.int16)
    return tone
