"""Seconds that stages took, and their shares for the recordings that passed together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from mmer_ray.models.gpu_clock import collect_gpu_seconds


class Clock:
    """Adds up the seconds of stages. Not shared between threads."""

    def __init__(self) -> None:
        self.wall_s: defaultdict[str, float] = defaultdict(float)
        """Stage -> wall seconds."""
        self.gpu_s: defaultdict[str, float] = defaultdict(float)
        """Stage -> seconds of forward passes on a GPU; empty without one."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what runs inside the block."""
        begun = perf_counter()
        with collect_gpu_seconds() as spent:
            yield
        self.wall_s[name] += perf_counter() - begun
        if spent.total_s:
            self.gpu_s[name] += spent.total_s

    def add(self, other: Clock, share: float = 1.0) -> None:
        """Add a share of what another clock measured."""
        for mine, theirs in ((self.wall_s, other.wall_s), (self.gpu_s, other.gpu_s)):
            for stage, seconds in theirs.items():
                mine[stage] += seconds * share
