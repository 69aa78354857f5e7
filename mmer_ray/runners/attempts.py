"""What outlives the workers: the actor that counts how often each piece of work was begun.

A file of its own that imports nothing: its process starts beside those that load the models, and Ray Data alone costs
it some seconds of CPU.
"""

from __future__ import annotations

from collections import Counter


class Attempts:
    """How often each shard and each recording was begun and not ended."""

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()

    def begin(self, name: str) -> int:
        """Count one more beginning; returns how many there have been since the last `end`."""
        self._begun[name] += 1
        return self._begun[name]

    def end(self, name: str) -> None:
        del self._begun[name]
