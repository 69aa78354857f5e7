"""A small training loop for any emotion family on a few hundred labelled clips.

The number of epochs is fixed beforehand and the weights that come out are a running average: nothing is ever chosen
on the clips that are tested.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from mmer_ray.models.bridge_tokens.masking import Modality, draw_masked_modality
from mmer_ray.models.families import Loss
from mmer_ray.models.interface import Clip, EmotionModel, Targets, collate
from mmer_ray.models.library import PreTrainedTokenizerBase
from mmer_ray.training.augment import UNCHANGED, Variation, vary
from mmer_ray.training.batch import TrainingBatch
from mmer_ray.training.datasets import LabelledClip
from mmer_ray.training.schedule import cosine_rate

BATCHES_PER_CHUNK = 4
"""Batches are cut from so many at once, sorted by length, so that little is padding."""


@dataclass(frozen=True)
class Recipe:
    """How a family is trained."""

    num_epochs: int = 40
    """An epoch draws as many clips as there are, of every class alike."""
    batch_size: int = 16
    peak_rate: float = 2e-3
    warm_up_share: float = 0.1
    final_share: float = 0.01
    weight_decay: float = 0.05
    max_gradient_norm: float = 1.0
    average_decay: float = 0.99
    """Of the running average of the weights, per step."""
    two_views: bool = False
    """Whether the loss sees each clip in two variations, the second as the augmented view of the first."""
    modality_masking: bool = False
    """Whether some epochs do without the sound or without the words (`bridge_tokens.masking`)."""
    variation: Variation = UNCHANGED
    seed: int = 0


def train(
    model: EmotionModel,
    loss: Loss,
    clips: Sequence[LabelledClip],
    tokenizer: PreTrainedTokenizerBase,
    recipe: Recipe,
) -> EmotionModel:
    """Train a model in place and return the running average of its weights, in evaluation mode.

    Everything random, dropout apart, comes from the recipe's seed. Raises `ValueError` where a clip's label is none of
    the model's, or where a model shall do without a modality that cannot.
    """
    torch.manual_seed(recipe.seed)
    drawn = draw_batches(clips, model.labels, tokenizer, recipe)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=recipe.peak_rate, weight_decay=recipe.weight_decay)
    average = running_average(model, recipe.average_decay)
    steps_per_epoch = math.ceil(len(clips) / recipe.batch_size)
    num_steps = recipe.num_epochs * steps_per_epoch
    masked = _masked_modalities(recipe)
    model.train()
    for step, batch in zip(range(num_steps), drawn, strict=False):
        if recipe.modality_masking and step % steps_per_epoch == 0:
            _mask(model, next(masked))
        for group in optimiser.param_groups:
            share = (step + 1) / num_steps
            group["lr"] = cosine_rate(recipe.peak_rate, share, recipe.warm_up_share, recipe.final_share)
        optimiser.zero_grad()
        torch.autograd.backward(loss_of(model, loss, batch))
        nn.utils.clip_grad_norm_(trained, recipe.max_gradient_norm)
        optimiser.step()
        average.update_parameters(model)
    if recipe.modality_masking:
        _mask(model, None)
    averaged = average.module
    assert isinstance(averaged, EmotionModel)
    return averaged.eval()


def loss_of(model: EmotionModel, loss: Loss, batch: TrainingBatch) -> Tensor:
    """Ask the model about every view: scalar, the family's loss."""
    clean, *variations = batch.views
    augmented = model.score_variation(variations[0]) if variations else None
    return loss(model(clean), batch.targets, augmented)


def draw_batches(
    clips: Sequence[LabelledClip], labels: Sequence[str], tokenizer: PreTrainedTokenizerBase, recipe: Recipe
) -> Iterator[TrainingBatch]:
    """Yield batches without end, of utterances of about one length; every class is drawn alike."""
    if unknown := sorted({clip.label for clip in clips} - set(labels)):
        raise ValueError(f"clips are labelled {', '.join(unknown)}; the model's labels are {', '.join(labels)}")
    rng = np.random.default_rng(recipe.seed)
    order = draw_balanced([labels.index(clip.label) for clip in clips], rng)
    chunk_size = BATCHES_PER_CHUNK * recipe.batch_size
    while True:
        chunk = [clips[next(order)] for _ in range(chunk_size)]
        views = [
            [Clip(vary(one.clip.samples, rng, recipe.variation), one.clip.text) for _ in range(1 + recipe.two_views)]
            for one in chunk
        ]
        by_length = np.argsort([len(view[0].samples) for view in views])
        for place in rng.permutation(BATCHES_PER_CHUNK):
            rows = by_length[place * recipe.batch_size : (place + 1) * recipe.batch_size]
            truth = torch.tensor([labels.index(chunk[row].label) for row in rows])
            of_views = zip(*(views[row] for row in rows), strict=True)
            yield TrainingBatch(tuple(collate(view, tokenizer) for view in of_views), Targets(truth))


def draw_balanced(classes: Sequence[int], rng: np.random.Generator) -> Iterator[int]:
    """Yield indices without end: classes take turns, and within a class everything comes once before anything twice."""
    members: dict[int, list[int]] = defaultdict(list)
    for index, one in enumerate(classes):
        members[one].append(index)
    turns = [_shuffled_forever(members[one], rng) for one in sorted(members)]
    while True:
        yield from (next(turn) for turn in turns)


def guess(
    model: EmotionModel, clips: Sequence[LabelledClip], tokenizer: PreTrainedTokenizerBase, batch_size: int = 16
) -> NDArray[np.int64]:
    """Name the likeliest class of each clip: index into the model's labels, int64, shape (num_clips,)."""
    by_length = sorted(range(len(clips)), key=lambda index: len(clips[index].clip.samples))
    guesses = np.empty(len(clips), dtype=np.int64)
    for first in range(0, len(clips), batch_size):
        rows = by_length[first : first + batch_size]
        with torch.inference_mode():
            logits_BK = model(collate([clips[row].clip for row in rows], tokenizer)).logits
        guesses[rows] = logits_BK.argmax(dim=1).numpy()
    return guesses


def running_average(model: nn.Module, decay: float) -> AveragedModel:
    """Copy a model into a running average of its weights and buffers; counters are copied at each update.

    Update n (from 0) keeps the share min(`decay`, n / (9 + n)) of the average: early on it must forget the fresh
    weights faster than it will later.
    """

    def average(averaged: Tensor, current: Tensor, num_averaged: Tensor | int) -> Tensor:
        if not current.is_floating_point():
            return current
        kept = min(decay, float(num_averaged / (9 + num_averaged)))
        return torch.lerp(averaged, current, 1 - kept)

    return AveragedModel(model, avg_fn=average, use_buffers=True)


@runtime_checkable
class _MasksModalities(Protocol):
    def mask(self, modality: Modality | None) -> None: ...


def _masked_modalities(recipe: Recipe) -> Iterator[Modality | None]:
    """Yield what each epoch does without."""
    rng = np.random.default_rng(recipe.seed)
    for epoch in range(recipe.num_epochs):
        yield draw_masked_modality(epoch, recipe.num_epochs, rng)


def _mask(model: EmotionModel, modality: Modality | None) -> None:
    if not isinstance(model, _MasksModalities):
        raise ValueError(f"{model.family} cannot do without a modality: train it without modality_masking")
    model.mask(modality)


def _shuffled_forever(items: Sequence[int], rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from rng.permutation(items).tolist()
