"""What a loss sees, one row for each utterance, so that batches of several passes and workers can be put together.

Shape letters: B utterances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import NamedTuple

import torch
from torch import Tensor

from mmer_ray.errors import TrainingError
from mmer_ray.models.ctc.losses import transcript_costs
from mmer_ray.models.interface import EmotionModel, EmotionOutput, Targets
from mmer_ray.training.batch import TrainingBatch

Rows = dict[str, Tensor]
"""Field of an output or of the targets ("output.logits", "targets.labels") -> tensor, shape (B, ...)."""
OUTPUT, AUGMENTED, TARGETS, BRANCHES = "output.", "augmented.", "targets.", "branches."
READ_BY_LOSSES = ("logits", "dimensions", "contrast", "ctc_costs")


class Answers(NamedTuple):
    """The three arguments of a loss."""

    output: EmotionOutput
    targets: Targets
    augmented: EmotionOutput | None

    def rows(self) -> Rows:
        """Take apart; what is narrower than float32 is widened, as losses are computed there."""
        table = _rows_of(self.output, OUTPUT)
        if self.augmented is not None:
            table |= _rows_of(self.augmented, AUGMENTED)
        truth = {name: getattr(self.targets, name) for name in ("labels", "dimensions", "shares")}
        return table | {TARGETS + name: tensor for name, tensor in truth.items() if tensor is not None}

    @classmethod
    def of_rows(cls, rows: Rows, class_weights: Tensor | None) -> Answers:
        """Put together what `rows` took apart."""
        truth = {name.removeprefix(TARGETS): tensor for name, tensor in rows.items() if name.startswith(TARGETS)}
        has_variations = any(name.startswith(AUGMENTED) for name in rows)
        return cls(
            _output_of(rows, OUTPUT),
            Targets(**truth, class_weights=class_weights),
            _output_of(rows, AUGMENTED) if has_variations else None,
        )


def ask(model: EmotionModel, batch: TrainingBatch, autocast: torch.dtype | None) -> Rows:
    """Run every view of a batch and return what the loss needs of it.

    `autocast`: type of the matrix work; None: that of the weights. CTC, whose logits are the largest of all, is
    computed here, in float32: the loss of an utterance's transcript does not depend on the others.
    """
    clean, *variations = batch.views
    if batch.seed is not None:
        torch.manual_seed(batch.seed)
    with torch.autocast(clean.samples.device.type, autocast, enabled=autocast is not None):
        output = model(clean)
        augmented = model.score_variation(variations[0]) if variations else None
    costs_B = transcript_costs(output, batch.targets)
    rows = Answers(output, batch.targets, augmented).rows()
    return rows if costs_B is None else rows | {OUTPUT + "ctc_costs": costs_B}


def join(parts: Sequence[Rows]) -> Rows:
    """Put the rows of several batches under each other. Raises `TrainingError` where one lacks what another has."""
    names = parts[0].keys()
    check_same_fields([tuple(part) for part in parts])
    return {name: torch.cat([part[name] for part in parts]) for name in names}


def check_same_fields(fields_of_parts: Sequence[tuple[str, ...]]) -> None:
    """Raise `TrainingError` where batches that one loss shall see have not the same fields."""
    common = set(fields_of_parts[0]).intersection(*fields_of_parts)
    if odd := sorted(set().union(*fields_of_parts) - common):
        raise TrainingError(
            f"some batches of a step have {', '.join(odd)} and others have not: give all of them, or none, "
            "augmented views, dimensions, raters' shares and transcripts"
        )


def _rows_of(output: EmotionOutput, prefix: str) -> Rows:
    table = {name: getattr(output, name) for name in READ_BY_LOSSES}
    table |= {BRANCHES + name: logits_BK for name, logits_BK in (output.branches or {}).items()}
    return {
        prefix + name: tensor.to(torch.promote_types(tensor.dtype, torch.float32))
        for name, tensor in table.items()
        if tensor is not None
    }


def _output_of(rows: Rows, prefix: str) -> EmotionOutput:
    table = {name.removeprefix(prefix): tensor for name, tensor in rows.items() if name.startswith(prefix)}
    known = {field.name for field in fields(EmotionOutput)}
    branches = {name.removeprefix(BRANCHES): tensor for name, tensor in table.items() if name.startswith(BRANCHES)}
    return EmotionOutput(**{name: tensor for name, tensor in table.items() if name in known}, branches=branches or None)
