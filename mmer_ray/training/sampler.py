"""Which utterances a step draws: by (seed, step) alone, so that a training can go on from any step.

Draws are numbered from the start of the training. With balanced sampling classes take turns, draw by draw; within a
class everything comes once, in an order keyed by the seed and the pass, before anything comes twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmer_ray.training.recipe import Sampling

STEPS_PER_CHUNK = 4
"""Batches are cut from so many at once, sorted by length, so that little is padding."""


class Draw(NamedTuple):
    """One utterance of a batch."""

    row: int
    """Which utterance."""
    number: int
    """Of this draw, from the start of the training: the key of its random variation."""


class Sampler:
    """Batches of a training set, each computed from its step's number."""

    def __init__(
        self, classes: Sequence[int], lengths_s: Sequence[float], batch_size: int, sampling: Sampling, seed: int
    ) -> None:
        """Take the class and the length of every utterance. There must be one at least."""
        assert len(classes) == len(lengths_s) > 0
        self._lengths_s = np.asarray(lengths_s)
        self._batch_size = batch_size
        self._seed = seed
        groups = np.asarray(classes) if sampling == "balanced" else np.zeros(len(classes), int)
        self._groups = [np.flatnonzero(groups == one) for one in np.unique(groups)]
        self.steps_per_epoch = math.ceil(len(classes) / batch_size)
        self._order = lru_cache(maxsize=2 * len(self._groups))(self._order_of)
        self._chunk = lru_cache(maxsize=2)(self._chunk_of)

    def batch(self, step: int) -> list[Draw]:
        """The draws of a step, from 0, the shortest utterance first."""
        chunk, place = divmod(step, STEPS_PER_CHUNK)
        return self._chunk(chunk)[place]

    def row(self, number: int) -> int:
        """The utterance of a draw."""
        turn, group = divmod(number, len(self._groups))
        passed, index = divmod(turn, len(self._groups[group]))
        return int(self._order(group, passed)[index])

    def _order_of(self, group: int, passed: int) -> NDArray[np.int64]:
        return np.random.default_rng((self._seed, 1, group, passed)).permutation(self._groups[group])

    def _chunk_of(self, chunk: int) -> list[list[Draw]]:
        size = self._batch_size
        first = chunk * STEPS_PER_CHUNK * size
        draws = [Draw(self.row(number), number) for number in range(first, first + STEPS_PER_CHUNK * size)]
        draws.sort(key=lambda draw: (self._lengths_s[draw.row], draw.number))
        places = np.random.default_rng((self._seed, 2, chunk)).permutation(STEPS_PER_CHUNK)
        return [draws[place * size : (place + 1) * size] for place in places]
