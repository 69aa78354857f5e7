"""Diarize: who speaks when inside each window. No torch: the member that a profile names brings it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mmer_ray.audio.vad import weights_of
from mmer_ray.diarizers.interface import Diarizer
from mmer_ray.diarizers.members import choose_diarizer
from mmer_ray.models.members import KeyPart
from mmer_ray.models.refs import ModelRef
from mmer_ray.models.resolver import resolve
from mmer_ray.profiles import Profile
from mmer_ray.records import Window
from mmer_ray.stages.given import given_diarization

VERSION = "3"
"""Goes up whenever the same windows, options and model give other turns or embeddings."""


def key_part(profile: Profile) -> KeyPart:
    """What the turns of given windows hang on. Raises `PreflightError` or `ProfileError` as the models do."""
    options = profile.diarize.model_dump(mode="json", exclude={"model", "embedding_model"})
    detector = {
        **profile.vad.model_dump(mode="json"),
        "weights": resolve(ModelRef("vad", str(weights_of(profile.vad)))).digest,
    }
    return {"version": VERSION, "options": options, "vad": detector, **choose_diarizer(profile.diarize).key_part()}


def diarize(windows: Sequence[Window], diarizer: Diarizer) -> list[Window]:
    """Add turns and speaker embeddings to windows: same order, one out per in. Given turns are taken as they are."""
    given = [given_diarization(window) for window in windows]
    asked = [window for window, answer in zip(windows, given, strict=True) if answer is None]
    found = iter(diarizer.diarize(asked) if asked else ())
    answers = [next(found) if answer is None else answer for answer in given]
    return [
        replace(
            window,
            turns=answer.turns,
            embeddings=answer.embeddings,
            exclusive_turns=answer.exclusive_turns,
            kept=answer.kept,
        )
        for window, answer in zip(windows, answers, strict=True)
    ]
