"""Made utterances and predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mmer_ray.training.predictions import Predictions
from mmer_ray.training.utterances import Sound, Utterance

LABELS = ("angry", "happy", "neutral", "sad")


def utterance(index: int, label: str = "angry", speaker: str = "A", **known: Any) -> Utterance:
    plain = Utterance(f"u{index}", Sound(Path(f"{index}.wav")), speaker, label, text=f"sentence {index}")
    return replace(plain, **known)


def predicted(
    truth: Sequence[str],
    guesses: Sequence[str],
    speakers: Sequence[str] | None = None,
    *,
    confidence: float = 0.7,
    **known: Any,
) -> Predictions:
    """Answers of one confidence: the other classes share the rest."""
    speakers = speakers or ["A"] * len(truth)
    probabilities = np.full((len(truth), len(LABELS)), (1 - confidence) / (len(LABELS) - 1))
    probabilities[np.arange(len(truth)), [LABELS.index(guess) for guess in guesses]] = confidence
    utterances = tuple(utterance(index, *pair) for index, pair in enumerate(zip(truth, speakers, strict=True)))
    return Predictions(utterances, LABELS, np.log(probabilities).astype(np.float32), **known)


def random_predictions(
    num_speakers: int, num_each: int, *, skill: float = 0.7, seed: int = 0, fold: str = "", sharpness: float = 1.0
) -> Predictions:
    """Answers that are right with a speaker's own probability around `skill`, and as sure of it as that."""
    rng = np.random.default_rng(seed)
    speakers = np.repeat([f"S{number:02d}" for number in range(num_speakers)], num_each)
    truth = rng.integers(len(LABELS), size=len(speakers))
    skills = np.repeat(np.clip(rng.normal(skill, 0.1, num_speakers), 0.3, 0.95), num_each)
    wrong = (truth + rng.integers(1, len(LABELS), size=len(truth))) % len(LABELS)
    guesses = np.where(rng.random(len(truth)) < skills, truth, wrong)
    probabilities = np.repeat((1 - skills)[:, None] / (len(LABELS) - 1), len(LABELS), axis=1)
    probabilities[np.arange(len(truth)), guesses] = skills
    utterances = tuple(
        utterance(index, LABELS[label], str(speaker))
        for index, (label, speaker) in enumerate(zip(truth, speakers, strict=True))
    )
    return Predictions(utterances, LABELS, (sharpness * np.log(probabilities)).astype(np.float32), fold=fold, seed=seed)
