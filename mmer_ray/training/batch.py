"""What a step of training sees."""

from __future__ import annotations

from typing import NamedTuple

from mmer_ray.models.interface import EmotionBatch, Targets


class TrainingBatch(NamedTuple):
    """One variation of each utterance, or two, and their truth."""

    views: tuple[EmotionBatch, ...]
    targets: Targets
    utterance_ids: tuple[str, ...] = ()
    """Of the rows, for messages; empty where they have none."""
