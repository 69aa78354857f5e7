"""How emotions are worded and coloured, the same in every command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mmer_ray.cli.output import share
from mmer_ray.lake.overview import UNKNOWN, emotion_of

if TYPE_CHECKING:
    from mmer_ray.records import Utterance

STYLES = {"angry": "red", "happy": "green", "sad": "blue", "neutral": "dim", "fear": "magenta", "disgust": "yellow"}
"""Never the only sign: the label always stands beside its colour."""


def describe_mix(seconds: Mapping[str, float]) -> str:
    """`neutral 70 %, angry 30 %`."""
    total_s = sum(seconds.values())
    return ", ".join(f"{label} {share(part, total_s)}" for label, part in seconds.items())


def describe(utterance: Utterance) -> str:
    """`angry 0.81`, or why there is no label."""
    emotion = emotion_of(utterance)
    if emotion is None:
        return ""
    if emotion.label is None:
        return emotion.skip_reason or UNKNOWN
    return emotion.label if emotion.confidence is None else f"{emotion.label} {emotion.confidence:.2f}"
