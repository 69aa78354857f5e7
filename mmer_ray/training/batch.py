"""What a step of training sees."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import NamedTuple

import torch
from torch import Tensor

from mmer_ray.models.interface import EmotionBatch, Targets


class TrainingBatch(NamedTuple):
    """One variation of each utterance, or two, and their truth."""

    views: tuple[EmotionBatch, ...]
    targets: Targets
    utterance_ids: tuple[str, ...] = ()
    """Of the rows, for messages; empty where they have none."""
    seed: int | None = None
    """Of the random numbers that the model draws from torch while it reads this batch, so that they do not depend on
    what other batches drew, nor on which worker reads it; None: they go on from where they are."""

    def to(self, device: torch.device | str) -> TrainingBatch:
        """The same batch on another device."""
        parts: dict[str, Tensor | None] = {field.name: getattr(self.targets, field.name) for field in fields(Targets)}
        moved = {name: part.to(device) for name, part in parts.items() if part is not None}
        targets = replace(self.targets, **moved)
        return self._replace(views=tuple(view.to(device) for view in self.views), targets=targets)
