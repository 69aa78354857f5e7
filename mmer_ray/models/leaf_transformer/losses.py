"""Cross-entropy of every part of the model: all at once, or stage by stage as published.

The paper trains four stages one after the other and freezes each for the next: the audio branch, the text branch,
the two context branches, the transformer. `loss` trains them together.

Shape letters: B utterances, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mmer_ray.models.category import category_costs, total
from mmer_ray.models.interface import EmotionOutput, Targets

STAGES = {"audio": ("audio",), "text": ("text",), "context": ("audio_context", "text_context"), "fusion": ("fused",)}
"""Stage, in the paper's order -> the logits it is trained by: branches of the output, or "fused", its logits."""


def loss(output: EmotionOutput, targets: Targets, augmented: EmotionOutput | None = None) -> Tensor:
    """The sum of `terms`: a scalar."""
    return total(terms(output, targets, augmented))


def terms(output: EmotionOutput, targets: Targets, augmented: EmotionOutput | None = None) -> dict[str, Tensor]:
    """The loss of every stage, averaged over utterances: scalars; an augmented view adds nothing."""
    return {stage: stage_loss(output, targets, stage) for stage in STAGES}


def stage_loss(output: EmotionOutput, targets: Targets, stage: str, dialogue_B: Tensor | None = None) -> Tensor:
    """Cross-entropy of one stage, summed over its branches.

    With the batch's dialogue ids, int64, shape (B,), it is averaged inside each dialogue and then over dialogues, as
    published for the last two stages; without, over utterances. Raises `ValueError` for an unknown stage.
    """
    if stage not in STAGES:
        raise ValueError(f"there is no stage {stage!r}; stages: {', '.join(STAGES)}")
    assert output.branches is not None
    logits = {**output.branches, "fused": output.logits}
    shares_B = _weights(targets.labels, dialogue_B)
    found = []
    for name in STAGES[stage]:
        costs_B, weights_B = category_costs(logits[name], targets)
        found.append((costs_B * shares_B).sum() / (weights_B * shares_B).sum())
    return torch.stack(found).sum()


def _weights(labels_B: Tensor, dialogue_B: Tensor | None) -> Tensor:
    """Give each utterance its share of the mean: float, shape (B,), sum 1."""
    if dialogue_B is None:
        return torch.full(labels_B.shape, 1 / len(labels_B), device=labels_B.device)
    ids_D, row_B, num_D = torch.unique(dialogue_B, return_inverse=True, return_counts=True)
    weights_B: Tensor = 1 / (num_D[row_B] * len(ids_D))
    return weights_B
