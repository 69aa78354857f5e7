"""Training examples as a voice detector would cut them: several utterances with pauses, then a recording chain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mmer_ray.audio.pcm import to_float
from mmer_ray.models.wav2vec2 import normalise
from mmer_ray.records import SAMPLE_RATE_HZ
from mmer_ray.training.augment import CLEAN, Conditions, augment

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Example:
    """Normalised speech, float32, shape (num_samples,), 16 kHz, and its words."""

    samples: Samples
    text: str


@dataclass(frozen=True)
class Spoken:
    """One utterance in memory."""

    samples: NDArray[np.int16]
    """Shape (num_samples,), 16 kHz."""
    text: str
    speaker: str


@dataclass(frozen=True)
class MixtureRecipe:
    """How examples are put together."""

    count_weights: tuple[float, ...] = (0.4, 0.3, 0.2, 0.1)
    """Chance of one, two, three, ... utterances in an example."""
    same_speaker: float = 0.5
    """Chance that an example has one speaker only."""
    gap_range_s: tuple[float, float] = (0.02, 0.6)
    edge_range_s: tuple[float, float] = (0.0, 0.4)
    max_s: float = 15.0
    clean: float = 0.35
    """Share of examples that keep nothing of the recording chain but a faint hiss."""
    conditions: Conditions = field(default_factory=Conditions)


class Mixer:
    """Draws examples from utterances without end."""

    def __init__(self, utterances: Sequence[Spoken], recipe: MixtureRecipe, rng: np.random.Generator) -> None:
        self.utterances = utterances
        self.recipe = recipe
        self.rng = rng
        self._by_speaker: dict[str, list[int]] = {}
        for index, utterance in enumerate(utterances):
            self._by_speaker.setdefault(utterance.speaker, []).append(index)
        self._shuffled: list[int] = []

    def batches(self, batch_s: float, batches_per_pool: int = 12) -> Iterator[list[Example]]:
        """Yield batches of at most `batch_s` padded seconds, alike in length, in random order."""
        while True:
            pool = self._pool(batch_s * batches_per_pool)
            batches = cut_batches(pool, batch_s)
            for index in self.rng.permutation(len(batches)):
                yield batches[index]

    def draw(self) -> Example:
        """Draw one example."""
        parts = self._draw_parts()
        silence = self.rng.uniform(*self.recipe.edge_range_s)
        pieces: list[Samples] = [_silence(silence)]
        for part in parts:
            pieces += [to_float(part.samples), _silence(self.rng.uniform(*self.recipe.gap_range_s))]
        pieces[-1] = _silence(self.rng.uniform(*self.recipe.edge_range_s))
        conditions = CLEAN if self.rng.random() < self.recipe.clean else self.recipe.conditions
        neighbours = self.rng.integers(len(self.utterances), size=4)
        others = [self.utterances[index].samples.astype(np.float32) for index in neighbours]
        samples = augment(np.concatenate(pieces), self.rng, conditions, others)
        return Example(normalise(samples), " ".join(part.text for part in parts))

    def _draw_parts(self) -> list[Spoken]:
        wanted = 1 + int(self.rng.choice(len(self.recipe.count_weights), p=self.recipe.count_weights))
        parts = [self.utterances[self._next()]]
        one_speaker = self.rng.random() < self.recipe.same_speaker
        while len(parts) < wanted:
            same = self._by_speaker[parts[0].speaker]
            index = int(self.rng.choice(same)) if one_speaker else self._next()
            parts.append(self.utterances[index])
            if sum(len(part.samples) for part in parts) > self.recipe.max_s * SAMPLE_RATE_HZ:
                return parts[:-1]
        return parts

    def _next(self) -> int:
        """Go through all utterances in a random order before any comes again."""
        if not self._shuffled:
            self._shuffled = self.rng.permutation(len(self.utterances)).tolist()
        return self._shuffled.pop()

    def _pool(self, pool_s: float) -> list[Example]:
        pool: list[Example] = []
        while sum(len(example.samples) for example in pool) < pool_s * SAMPLE_RATE_HZ:
            pool.append(self.draw())
        return pool


def cut_batches(examples: Sequence[Example], batch_s: float) -> list[list[Example]]:
    """Sort by length and cut into batches of at most `batch_s` padded seconds (but never an empty one)."""
    batches: list[list[Example]] = []
    for example in sorted(examples, key=lambda one: len(one.samples)):
        padded = len(example.samples) * (len(batches[-1]) + 1 if batches else 1)
        if not batches or padded > batch_s * SAMPLE_RATE_HZ:
            batches.append([])
        batches[-1].append(example)
    return batches


def _silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * SAMPLE_RATE_HZ), np.float32)
