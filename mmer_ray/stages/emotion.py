"""Emotion: one answer per utterance, from its sound and its words. No torch: the member brings it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mmer_ray.models.emotion_checkpoints import named_encoders
from mmer_ray.models.members import Chosen, KeyPart, Member, choose
from mmer_ray.profiles import EmotionOptions, Profile
from mmer_ray.records import SAMPLES_PER_MS, Clip, Emotion, Utterance
from mmer_ray.stages.policy import EmotionPolicy

VERSION = "3"
"""Goes up whenever the same clips and model give other emotions."""

MARGIN_MS = 100
"""Sound kept on either side of an utterance: word times cut into first and last sounds."""

MEMBERS: Mapping[str, Member] = {
    "model": Member("mmer_ray.stages.scorers:load_model_scorer", kind="emotion"),
}
"""The emotion scorers by name: one loads any family of `models/families.py`."""


Description = NDArray[np.float32] | None
"""What a model keeps of a clip until all of its recording are known: shape (D,); None: it is too short to be judged."""
Answer = Emotion | Description
"""What is known of a clip once it was felt: an emotion, or what one is made of at the recording's end."""


class EmotionScorer(Protocol):
    """Scores clips. Safe to call from several threads; an answer does not depend on what else is asked."""

    @property
    def scorer(self) -> str:
        """Name and digest of the model: `Emotion.scorer`."""
        ...

    @property
    def reads_dialogue(self) -> bool:
        """Whether an answer depends on the other clips of the same dialogue."""
        ...

    def predict(self, clips: Sequence[Clip]) -> list[Emotion]:
        """Score clips: one answer each, in order. Clips of one dialogue stand together, in order of time."""
        ...


@runtime_checkable
class AdaptingScorer(EmotionScorer, Protocol):
    """Measures a speaker's utterances against each other, so that none can be answered before all are known."""

    def describe(self, clips: Sequence[Clip]) -> list[Description]:
        """Sum up clips, each by itself: one answer each, in order."""
        ...

    def conclude(self, described: Sequence[Description], speakers: Sequence[str | None]) -> list[Emotion]:
        """Answer for all clips of a recording, in order, given who speaks in each; None: nobody knows."""
        ...


def choose_scorer(options: EmotionOptions) -> Chosen:
    """Read which scorer a profile names."""
    return choose(options.model, MEMBERS)


def key_part(profile: Profile) -> KeyPart:
    """What the emotions of given clips hang on. Raises `PreflightError` where the model is missing."""
    chosen = choose_scorer(profile.emotion)
    encoders = named_encoders(chosen.resolved().path)
    named = {key.removesuffix("_name"): encoder.sha256 for key, encoder in encoders.items()}
    return {"version": VERSION, **chosen.key_part(), **named, **EmotionPolicy.of(profile).key_part()}


def load_scorer(options: EmotionOptions) -> EmotionScorer:
    """Load the scorer that a profile names. Raises `PreflightError` where its checkpoint is missing or unfit."""
    chosen = choose_scorer(options)
    scorer: EmotionScorer = chosen.member.load(chosen.resolved(), options)
    return scorer


def clip_range(utterance: Utterance) -> tuple[int, int]:
    """First sample and one past the last that a model hears of an utterance, counted from the recording's start.

    It may begin before the recording (below zero) and end after it: what is not there is left out.
    """
    start_ms, end_ms = round(utterance.start_s * 1000), round(utterance.end_s * 1000)
    return (start_ms - MARGIN_MS) * SAMPLES_PER_MS, (end_ms + MARGIN_MS) * SAMPLES_PER_MS
