"""Tones as labelled speech: low ones are sad, high ones happy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from mmer_ray.models.interface import EmotionBatch, EmotionModel, EmotionOutput
from mmer_ray.training.embedded_text import train_tokenizer
from mmer_ray.training.kept_clips import KeptClips
from mmer_ray.training.material import Material
from mmer_ray.training.utterances import Corpus, Sound, Utterance

LOW_HZ, HIGH_HZ = 300.0, 1_200.0
LABELS = ("sad", "happy")
NUM_SPEAKERS = 4


@dataclass(frozen=True)
class EarConfig:
    """It has no sizes."""

    labels: tuple[str, ...] = LABELS


class Ear(EmotionModel):
    """The cheapest member of the interface: how often the samples cross zero, through a batch norm."""

    family = "ear"
    labels = LABELS

    def __init__(self) -> None:
        super().__init__()
        self.config = EarConfig()
        self.norm = nn.BatchNorm1d(1)
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(1, 2)

    @property
    def min_samples(self) -> int:
        return 2

    def forward(self, batch: EmotionBatch) -> EmotionOutput:
        crossings_B = (batch.samples[:, 1:] * batch.samples[:, :-1] < 0).sum(dim=1) / batch.num_samples
        return EmotionOutput(self.classifier(self.dropout(self.norm(crossings_B[:, None]))))


def tones(folder: Path, num: int, seed: int = 1, share_of_low: float = 0.5) -> list[Utterance]:
    """Write tones, float in -1..1, 0.2 to 0.4 s, and say what they are; speakers take turns."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    utterances = []
    for index in range(num):
        is_low = index < num * share_of_low
        frequency_hz = (LOW_HZ if is_low else HIGH_HZ) * rng.uniform(0.9, 1.1)
        times_s = np.arange(rng.integers(3_200, 6_400)) / 16_000
        samples = 0.5 * np.sin(2 * np.pi * frequency_hz * times_s) + rng.normal(0, 0.02, len(times_s))
        path = folder / f"{seed}-{index:03d}.wav"
        soundfile.write(path, samples, 16_000, subtype="FLOAT")
        label = "sad" if is_low else "happy"
        utterances.append(Utterance(path.stem, Sound(path), f"speaker {index % NUM_SPEAKERS}", label, "a b"))
    return utterances


def corpus_of(utterances: Sequence[Utterance]) -> Corpus:
    """The tones as a corpus."""
    return Corpus("tones", tuple(utterances), LABELS, "0" * 64)


def manifest_of(file: Path, utterances: Sequence[Utterance]) -> Path:
    """Write a manifest of them."""
    rows = [f"{one.utterance_id},{one.sound.path},{one.speaker},{one.label},{one.text}" for one in utterances]
    file.write_text("\n".join(["id,path,speaker,label,text", *rows]) + "\n")
    return file


def material_of(
    train: Sequence[Utterance], development: Sequence[Utterance] = (), labels: tuple[str, ...] = LABELS
) -> Material:
    """What a training on them reads."""
    return Material(tuple(train), tuple(development), labels, KeptClips(), small_tokenizer())


def small_tokenizer() -> PreTrainedTokenizerBase:
    """One that knows all bytes."""
    return train_tokenizer(["a b"], vocab_size=300)


def same_weights(first: nn.Module, second: nn.Module) -> bool:
    """Whether two models are equal, bit by bit."""
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(left, right) for left, right in pairs)
