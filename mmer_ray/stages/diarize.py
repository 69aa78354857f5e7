"""Diarize: who speaks when inside each window. No torch: the member that a profile names brings it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mmer_ray.diarizers.interface import Diarizer
from mmer_ray.records import Window

VERSION = "2"
"""Goes up whenever the same windows, options and model give other turns or embeddings."""


def diarize(windows: Sequence[Window], diarizer: Diarizer) -> list[Window]:
    """Add turns and speaker embeddings to windows: same order, one out per in."""
    answers = diarizer.diarize(windows)
    return [
        replace(window, turns=answer.turns, embeddings=answer.embeddings)
        for window, answer in zip(windows, answers, strict=True)
    ]
