"""The synthetic training set: utterances of espeak-ng in a cache folder, listed in a manifest.

The cache holds `manifest.jsonl`, one `Utterance` a line, and `speech/NNNNN.wav` (16 kHz, int16, one channel).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from mmer_ray.demo.grammar import FEELINGS, Feeling, Role, Sentence, Split, draw_sentence
from mmer_ray.demo.synthesis import speak
from mmer_ray.demo.voices import VARIANTS, Delivery, Speaker, draw_delivery, draw_speaker
from mmer_ray.records import SAMPLE_RATE_HZ

MANIFEST_NAME = "manifest.jsonl"
NUM_WORKERS = 2
ROLES: tuple[Role, ...] = ("agent", "agent", "customer", "customer", "short")
FREE_SHARE = 0.35


@dataclass(frozen=True)
class SyntheticSet:
    """How much to synthesise."""

    num_train: int = 9_000
    num_train_speakers: int = 195
    num_validation: int = 400
    num_validation_speakers: int = 30
    seed: int = 1


@dataclass(frozen=True)
class Utterance:
    """One line of the manifest."""

    path: str
    """Relative to the cache folder."""
    text: str
    """Lower-case words with single spaces."""
    feeling: Feeling
    speaker: str
    split: Split
    worded: bool
    """Whether the wording too carries the feeling, not the voice alone."""
    duration_s: float


def synthesise(cache: Path, plan: SyntheticSet) -> Path:
    """Fill the cache and return the manifest's path; does nothing where the manifest is already there."""
    manifest = cache / MANIFEST_NAME
    if manifest.exists():
        return manifest
    (cache / "speech").mkdir(parents=True, exist_ok=True)
    orders = list(enumerate(_orders(plan)))
    with ProcessPoolExecutor(NUM_WORKERS) as pool:
        lines = list(pool.map(_synthesise_one, [(cache, index, order) for index, order in orders], chunksize=50))
    unfinished = manifest.with_suffix(".part")
    unfinished.write_text("".join(json.dumps(asdict(line)) + "\n" for line in lines))
    return unfinished.rename(manifest)


def read_manifest(cache: Path, split: Split) -> list[Utterance]:
    """Read the utterances of one split."""
    lines = (cache / MANIFEST_NAME).read_text().splitlines()
    utterances = [Utterance(**json.loads(line)) for line in lines]
    return [utterance for utterance in utterances if utterance.split == split]


def read_speech(cache: Path, utterance: Utterance) -> NDArray[np.int16]:
    """Read an utterance's samples: int16, shape (num_samples,), 16 kHz."""
    samples: NDArray[np.int16] = soundfile.read(cache / utterance.path, dtype="int16")[0]
    return samples


@dataclass(frozen=True)
class _Order:
    sentence: Sentence
    speaker: Speaker
    delivery: Delivery
    feeling: Feeling
    split: Split


def _orders(plan: SyntheticSet) -> Iterator[_Order]:
    rng = random.Random(plan.seed)  # noqa: S311  (a corpus, not a secret)
    yield from _orders_of_split(rng, "train", plan.num_train, plan.num_train_speakers)
    yield from _orders_of_split(rng, "validation", plan.num_validation, plan.num_validation_speakers)


def _orders_of_split(rng: random.Random, split: Split, num_utterances: int, num_speakers: int) -> Iterator[_Order]:
    variants = VARIANTS[split]
    speakers = [draw_speaker(rng, split, variants[index % len(variants)]) for index in range(num_speakers)]
    for index in range(num_utterances):
        speaker = speakers[index % num_speakers]
        feeling = rng.choice(FEELINGS)
        sentence = draw_sentence(rng, rng.choice(ROLES), feeling, split, free_share=FREE_SHARE)
        yield _Order(sentence, speaker, draw_delivery(rng, speaker, feeling), feeling, split)


def _synthesise_one(job: tuple[Path, int, _Order]) -> Utterance:
    cache, index, order = job
    samples = speak(order.sentence.spoken, order.speaker, order.delivery)
    path = f"speech/{index:05d}.wav"
    soundfile.write(cache / path, samples, SAMPLE_RATE_HZ, subtype="PCM_16")
    return Utterance(
        path=path,
        text=order.sentence.text,
        feeling=order.feeling,
        speaker=order.speaker.speaker_id,
        split=order.split,
        worded=order.sentence.worded_feeling is not None,
        duration_s=round(len(samples) / SAMPLE_RATE_HZ, 3),
    )
