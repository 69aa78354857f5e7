"""Cutting a stream of samples into windows at its quietest moments.

Where a cut falls depends on the samples alone, not on the sizes of the blocks that they arrive in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mmer_ray.audio.loudness import stretch_energies
from mmer_ray.records import SAMPLE_RATE_HZ, Samples

SEARCH_S = 30.0
"""The cut is looked for in so many seconds before the limit (half a window where windows are shorter than a minute)."""
PAUSE_S = 0.3
MIN_LAST_S = 5.0
"""A shorter last window is avoided: speech models answer poorly on scraps."""
FRAME_SAMPLES = 160
"""10 ms: cuts lie on this grid."""


@dataclass(frozen=True, slots=True)
class Piece:
    """All channels between two cuts."""

    start_sample: int
    samples: Samples
    """int16, shape (num_channels, num_samples); a view that the next `append` overwrites."""


class Cutter:
    """Collects samples and lets go of them window by window; holds one window and a few seconds at most."""

    def __init__(self, num_channels: int, window_s: float) -> None:
        self._limit = int(window_s * SAMPLE_RATE_HZ)
        self._lookahead = int(MIN_LAST_S * SAMPLE_RATE_HZ)
        self._search = int(min(SEARCH_S, window_s / 2) * SAMPLE_RATE_HZ)
        # Untouched pages cost nothing: a short clip pays for its own length only.
        self._buffer: Samples = np.empty((num_channels, self._limit + self._lookahead), dtype=np.int16)
        self._held = 0
        self.num_emitted = 0
        """Samples per channel that were let go."""

    def append(self, block: Samples) -> Iterator[Piece]:
        """Take int16 samples of shape (num_channels, num_samples); yield the windows that they complete."""
        taken = 0
        while taken < block.shape[1]:
            # With the lookahead full, a cut at or before the limit leaves enough for a last window.
            if self._held == self._buffer.shape[1]:
                yield from self._emit(self._quietest(self._limit - self._search, self._limit))
            room = min(block.shape[1] - taken, self._buffer.shape[1] - self._held)
            self._buffer[:, self._held : self._held + room] = block[:, taken : taken + room]
            self._held += room
            taken += room

    def finish(self) -> Iterator[Piece]:
        """Yield what is left: one window, or two where it is longer than one."""
        if self._held > self._limit:
            latest = min(self._limit, self._held - self._lookahead)
            yield from self._emit(self._quietest(self._limit - self._search, latest))
        if self._held:
            yield from self._emit(self._held)

    def _emit(self, num_samples: int) -> Iterator[Piece]:
        yield Piece(self.num_emitted, self._buffer[:, :num_samples])
        self.num_emitted += num_samples
        self._held -= num_samples
        # numpy copies overlapping slices as if through a temporary.
        self._buffer[:, : self._held] = self._buffer[:, num_samples : num_samples + self._held]

    def _quietest(self, earliest: int, latest: int) -> int:
        """The middle of the quietest pause with its middle between two samples; the latest of equals."""
        first, last = -(-earliest // FRAME_SAMPLES), latest // FRAME_SAMPLES
        pause_frames = round(PAUSE_S * SAMPLE_RATE_HZ / FRAME_SAMPLES)
        lead = pause_frames // 2
        stretch = self._buffer[:, (first - lead) * FRAME_SAMPLES : (last + pause_frames - lead) * FRAME_SAMPLES]
        pauses = stretch_energies(stretch, FRAME_SAMPLES, pause_frames)[: last - first + 1]
        latest_minimum = len(pauses) - 1 - int(np.argmin(pauses[::-1]))
        return (first + latest_minimum) * FRAME_SAMPLES
