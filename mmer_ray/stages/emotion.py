"""Emotion: one answer per utterance, from its sound and its words. No torch: the member brings it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from mmer_ray.models.emotion_checkpoints import family_in, named_encoders
from mmer_ray.models.members import Chosen, KeyPart, Member, choose
from mmer_ray.models.resolver import ResolvedModel
from mmer_ray.profiles import EmotionOptions, Profile
from mmer_ray.records import SAMPLES_PER_MS, Clip, Emotion, Utterance

VERSION = "2"
"""Goes up whenever the same clips and model give other emotions."""

MARGIN_MS = 100
"""Sound kept on either side of an utterance: word times cut into first and last sounds."""
SCORER_DIGITS = 8

MEMBERS: Mapping[str, Member] = {
    "model": Member("mmer_ray.stages.scorers:ModelScorer", kind="emotion"),
}
"""The emotion scorers by name: one loads any family of `models/families.py`."""


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


def choose_scorer(options: EmotionOptions) -> Chosen:
    """Read which scorer a profile names."""
    return choose(options.model, MEMBERS)


def key_part(profile: Profile) -> KeyPart:
    """What the emotions of given clips hang on. Raises `PreflightError` where the model is missing."""
    chosen = choose_scorer(profile.emotion)
    encoders = named_encoders(chosen.resolved().path)
    named = {key.removesuffix("_name"): encoder.sha256 for key, encoder in encoders.items()}
    return {"version": VERSION, **chosen.key_part(), **named}


def load_scorer(options: EmotionOptions) -> EmotionScorer:
    """Load the scorer that a profile names. Raises `PreflightError` where its checkpoint is missing or unfit."""
    chosen = choose_scorer(options)
    scorer: EmotionScorer = chosen.member.load(chosen.resolved(), options)
    return scorer


def scorer_name(folder: ResolvedModel) -> str:
    """Name a model by its family and its bytes. Raises `PreflightError` where the folder holds none."""
    return f"{family_in(folder.path)}-{folder.digest[:SCORER_DIGITS]}"


def clip_range(utterance: Utterance) -> tuple[int, int]:
    """First sample and one past the last that a model hears of an utterance, counted from the recording's start.

    It may begin before the recording (below zero) and end after it: what is not there is left out.
    """
    start_ms, end_ms = round(utterance.start_s * 1000), round(utterance.end_s * 1000)
    return (start_ms - MARGIN_MS) * SAMPLES_PER_MS, (end_ms + MARGIN_MS) * SAMPLES_PER_MS
