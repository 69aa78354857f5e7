"""Folds over speakers: whoever is heard in a test is never heard in its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mmer_ray.errors import UsageError
from mmer_ray.training.datasets import LabelledClip, Sex


class Fold(NamedTuple):
    """One split of a set of clips."""

    train: list[LabelledClip]
    test: list[LabelledClip]


def deal_speakers(sexes: Mapping[str, Sex | None], num_folds: int, seed: int) -> list[frozenset[str]]:
    """Deal speakers to folds: each to exactly one, and of each sex, as of all, at most one more here than there.

    Raises `UsageError` where a fold would have nobody to test or nobody to train on.
    """
    if not 2 <= num_folds <= len(sexes):
        raise UsageError(f"{num_folds} folds of {len(sexes)} speakers: the folds must be 2..{len(sexes)}")
    rng = np.random.default_rng(seed)
    order: list[str] = []
    for sex in sorted(set(sexes.values()), key=str):
        order += rng.permutation(sorted(name for name, theirs in sexes.items() if theirs == sex)).tolist()
    return [frozenset(order[first::num_folds]) for first in range(num_folds)]


def split(clips: Sequence[LabelledClip], test_speakers: frozenset[str]) -> Fold:
    """Part clips by whether their speaker is one of the fold's."""
    train = [clip for clip in clips if clip.speaker not in test_speakers]
    return Fold(train, [clip for clip in clips if clip.speaker in test_speakers])
