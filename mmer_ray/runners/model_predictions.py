"""What a model says of labelled speech, asked as scoring asks it: with its own temperature, dialogues together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from mmer_ray.errors import UsageError
from mmer_ray.models.emotion_checkpoints import read_json_config
from mmer_ray.profiles import EmotionOptions
from mmer_ray.records import Clip, Emotion
from mmer_ray.stages.emotion import choose_scorer, load_scorer
from mmer_ray.training.clips import load_clip
from mmer_ray.training.predictions import Predictions
from mmer_ray.training.utterances import Utterance

MAX_CLIPS = 64
"""Clips in memory at once, or those of one dialogue."""
LEAST_PROBABILITY = 1e-6


@dataclass(frozen=True)
class Asked:
    """A model's answers to a corpus."""

    scorer: str
    """Family and digest of the model."""
    predictions: Predictions
    num_left_out: Mapping[str, int]
    """Why utterances have no answer -> how many."""
    num_withheld: int
    """Answers whose label scoring would withhold, because its probability lies below the model's own minimum. They are
    among the predictions."""
    reads_text: bool
    """Whether the model reads words at all."""


def ask_model(model: str, utterances: Sequence[Utterance], texts: Mapping[str, str] | None = None) -> Asked:
    """Ask an emotion model, named as a profile names it, about utterances; clips are read when they are needed.

    `texts`: utterance id -> the words that the model is given, instead of the reference. Logits are the logarithms of
    its probabilities. Raises `PreflightError` where the model is not here, `SourceError` for a sound that cannot be
    read, `UsageError` where the model skips all of them.
    """
    scorer = load_scorer(EmotionOptions(model=model))
    ordered = sorted(utterances, key=lambda one: (one.dialogue or "", str(one.sound.path), one.sound.start_ms))
    answered: list[tuple[Utterance, Emotion]] = []
    left_out: Counter[str] = Counter()
    numbers = {name: number for number, name in enumerate(dict.fromkeys(one.dialogue for one in ordered)) if name}
    for some in _portions(ordered):
        clips = [_clip(one, one.text if texts is None else texts[one.utterance_id], numbers) for one in some]
        for one, emotion in zip(some, scorer.predict(clips), strict=True):
            if not emotion.probabilities:
                left_out[f"the model skips it: {emotion.skip_reason}"] += 1
            else:
                answered.append((one, emotion))
    if not answered:
        why = ", ".join(f"{num}: {reason}" for reason, num in left_out.items())
        raise UsageError(
            f"{scorer.scorer} answers none of {len(ordered)} utterances ({why}): name another model, or speech that it "
            "does not skip"
        )
    num_withheld = sum(emotion.label is None for _, emotion in answered)
    return Asked(scorer.scorer, _predictions(answered), dict(left_out), num_withheld, reads_text(model))


def reads_text(model: str) -> bool:
    """Whether an emotion model, named as a profile names it, has a text encoder. Raises as `ask_model`."""
    folder = choose_scorer(EmotionOptions(model=model)).resolved().path
    return read_json_config(folder).get("text") is not None


def _clip(utterance: Utterance, text: str | None, dialogues: Mapping[str, int]) -> Clip:
    return load_clip(utterance)._replace(text=text or "", dialogue=dialogues.get(utterance.dialogue or ""))


def _portions(ordered: Sequence[Utterance]) -> Iterator[list[Utterance]]:
    """Cut at the borders of dialogues; what is in none may be cut anywhere."""
    portion: list[Utterance] = []
    numbered = enumerate(ordered)
    for _, group in groupby(numbered, key=lambda pair: pair[1].dialogue or pair[0]):
        dialogue = [one for _, one in group]
        if portion and len(portion) + len(dialogue) > MAX_CLIPS:
            yield portion
            portion = []
        portion += dialogue
    if portion:
        yield portion


def _predictions(answered: Sequence[tuple[Utterance, Emotion]]) -> Predictions:
    labels = tuple(answered[0][1].probabilities)
    probabilities = [[emotion.probabilities[label] for label in labels] for _, emotion in answered]
    dimensions = np.array([_dimensions(emotion) for _, emotion in answered], np.float32).reshape(-1, 3)
    return Predictions(
        tuple(one for one, _ in answered),
        labels,
        np.log(np.maximum(np.array(probabilities).reshape(-1, len(labels)), LEAST_PROBABILITY)).astype(np.float32),
        None if np.isnan(dimensions).all() else dimensions,
    )


def _dimensions(emotion: Emotion) -> list[float]:
    given = (emotion.valence, emotion.arousal, emotion.dominance)
    return [math.nan if value is None else value for value in given]
