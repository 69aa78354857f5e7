"""Trying the lake's store again: a store that is away for a moment must not end a run of hours."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mmer_ray.errors import StoreError

Answer = TypeVar("Answer")

WAITS_S = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0)
"""78 seconds in all. Longer would leave paid GPUs idle: the queue before the writer is full by then."""


@dataclass(frozen=True)
class StoreRetry:
    """Calls what may fail with `OSError` or `StoreError`, waiting longer before each further try."""

    waits_s: tuple[float, ...] = WAITS_S
    sleep: Callable[[float], object] = time.sleep

    def call(self, work: Callable[[], Answer]) -> Answer:
        """What `work` returns. Raises `StoreError` after the last try; any other error at once."""
        for wait_s in self.waits_s:
            try:
                return work()
            except (OSError, StoreError):
                self.sleep(wait_s)
        try:
            return work()
        except (OSError, StoreError) as error:
            raise StoreError(
                f"the lake's store failed {len(self.waits_s) + 1} times within {sum(self.waits_s):.0f} s: {error}. "
                "What was committed is intact; when the store is back, run the same command again: it goes on there"
            ) from error
