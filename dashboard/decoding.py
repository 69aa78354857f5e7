"""Decoded sound for the dashboard: from the job's own decoder, in child processes that may die of a file."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

import numpy as np

from mmer_ray.records import AudioFacts, Recording, Samples


class GivesSound(Protocol):
    """`mmer_ray.audio.decode.Decoder`, as far as it is needed here."""

    def sound(self, recording: Recording) -> Generator[Samples | AudioFacts, None, None]: ...


def in_channels(block: Samples, num_channels: int) -> Samples:
    """A block of so many channels: the last one again where it has fewer, their first ones where it has more. Int16,
    shape (num_channels, num_samples)."""
    return block[np.minimum(np.arange(num_channels), len(block) - 1)]
