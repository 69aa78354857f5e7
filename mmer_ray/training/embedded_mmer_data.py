"""What the embedded `mmer` is shown: two views of one feeling, of any length, with texts as poor as a transcriber's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmer_ray.audio.pcm import to_float
from mmer_ray.demo.grammar import FEELINGS
from mmer_ray.models.interface import Clip
from mmer_ray.records import SAMPLE_RATE_HZ
from mmer_ray.training.augment import CLEAN, Conditions, augment
from mmer_ray.training.embedded_text import transcribe_badly
from mmer_ray.training.synthetic import Utterance, read_speech

# Turns of the pipeline hold one to three sentences, or a part of one.
JOIN_SHARE = 0.35
CUT_SHARE = 0.25
LONGEST_S = 12.0
SHORTEST_S = 1.0
PAUSE_S = (0.05, 0.35)
EDGE_S = (0.0, 0.3)
CLEAN_SHARE = 0.35
NUM_BABBLE_VOICES = 4


@dataclass(frozen=True)
class Example:
    """One utterance in two views, recorded and transcribed independently, with its truth."""

    clean: Clip
    augmented: Clip
    text: str
    """What is really said."""
    label: int
    """Index into `demo.grammar.FEELINGS`."""


class Examples:
    """Draws examples of all feelings alike; example `index` is the same in every run."""

    def __init__(self, cache: Path, utterances: Sequence[Utterance], seed: int) -> None:
        self._cache = cache
        self._seed = seed
        self._utterances = utterances
        self._by_feeling: dict[str, list[Utterance]] = defaultdict(list)
        self._by_voice: dict[tuple[str, str], list[Utterance]] = defaultdict(list)
        for utterance in utterances:
            self._by_feeling[utterance.feeling].append(utterance)
            self._by_voice[utterance.speaker, utterance.feeling].append(utterance)

    def draw(self, index: int) -> Example:
        """Draw one example; feelings take turns."""
        rng = np.random.default_rng([self._seed, index])
        label = index % len(FEELINGS)
        pool = self._by_feeling[FEELINGS[label]]
        utterance = pool[rng.integers(len(pool))]
        samples, text = self._read(utterance), utterance.text
        if rng.random() < JOIN_SHARE:
            samples, text = self._join(samples, utterance, rng)
        samples, text = _cut(samples, text, rng)
        samples = np.concatenate([_silence(EDGE_S, rng), samples, _silence(EDGE_S, rng)])
        clean, augmented = (Clip(self._record(samples, rng), transcribe_badly(text, rng)) for _ in range(2))
        return Example(clean, augmented, text, label)

    def _record(self, samples: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Pass speech through a recording chain of its own."""
        conditions = CLEAN if rng.random() < CLEAN_SHARE else Conditions()
        others = [self._read(self._utterances[i]) for i in rng.integers(len(self._utterances), size=NUM_BABBLE_VOICES)]
        return augment(samples, rng, conditions, others)

    def _join(
        self, samples: NDArray[np.float32], first: Utterance, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], str]:
        """Append a sentence that the same voice says with the same feeling."""
        voice = self._by_voice[first.speaker, first.feeling]
        second = voice[rng.integers(len(voice))]
        return np.concatenate([samples, _silence(PAUSE_S, rng), self._read(second)]), f"{first.text} {second.text}"

    def _read(self, utterance: Utterance) -> NDArray[np.float32]:
        return to_float(read_speech(self._cache, utterance))


def _silence(range_s: tuple[float, float], rng: np.random.Generator) -> NDArray[np.float32]:
    return np.zeros(round(rng.uniform(*range_s) * SAMPLE_RATE_HZ), dtype=np.float32)


def _cut(samples: NDArray[np.float32], text: str, rng: np.random.Generator) -> tuple[NDArray[np.float32], str]:
    """Keep a stretch of sound and about the words that are said in it."""
    longest, shortest = round(LONGEST_S * SAMPLE_RATE_HZ), round(SHORTEST_S * SAMPLE_RATE_HZ)
    length = min(len(samples), longest)
    if rng.random() < CUT_SHARE and length > shortest:
        length = int(rng.integers(shortest, length))
    if length == len(samples):
        return samples, text
    begin = int(rng.integers(len(samples) - length + 1))
    words = text.split()
    first, last = (round(place / len(samples) * len(words)) for place in (begin, begin + length))
    return samples[begin : begin + length], " ".join(words[first:last])
