"""What a family is trained on: labelled utterances, and the batches that its steps see.

Shape letters: B utterances.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mmer_ray.errors import UsageError
from mmer_ray.models.ctc.losses import pad_targets
from mmer_ray.models.ctc.vocabulary import to_symbols
from mmer_ray.models.interface import Clip, Targets, collate
from mmer_ray.models.library import PreTrainedTokenizerBase
from mmer_ray.training import world
from mmer_ray.training.augment import vary
from mmer_ray.training.batch import TrainingBatch
from mmer_ray.training.kept_clips import Load, length_s
from mmer_ray.training.keys import key_of
from mmer_ray.training.recipe import Recipe
from mmer_ray.training.sampler import Draw, Sampler
from mmer_ray.training.utterances import Utterance

NOT_KNOWN = (float("nan"),) * 3


@dataclass(frozen=True)
class Material:
    """What is read for a training."""

    train: tuple[Utterance, ...]
    development: tuple[Utterance, ...]
    """Whose accuracy chooses among checks; none: nothing is chosen."""
    labels: tuple[str, ...]
    """Names of the model's classes."""
    load: Load
    tokenizer: PreTrainedTokenizerBase | None
    """None: the model reads no text."""

    def __post_init__(self) -> None:
        if not self.train:
            raise UsageError("there is nobody to train on: the training set holds no utterance")
        for utterance in (*self.train, *self.development):
            class_of(utterance, self.labels)


class Batches:
    """The batches of a training, each computed from its step's number; of them, this worker's micro-batches."""

    def __init__(self, material: Material, recipe: Recipe) -> None:
        self._parts = recipe.parts(world.rank(), world.size())
        self._material = material
        self._recipe = recipe
        self._sampler = Sampler(
            [class_of(one, material.labels) for one in material.train],
            [length_s(one) for one in material.train],
            recipe.batch_size,
            recipe.sampling,
            recipe.seed,
        )

    @property
    def steps_per_epoch(self) -> int:
        return self._sampler.steps_per_epoch

    def from_step(self, first: int, num_steps: int) -> Iterator[list[TrainingBatch]]:
        """This worker's micro-batches of the steps from `first` on, up to the training's last one."""
        for step in range(first, num_steps):
            yield self.of_step(step)

    def of_step(self, step: int) -> list[TrainingBatch]:
        """This worker's micro-batches of one step."""
        draws = self._sampler.batch(step)
        return [self._batch(draws[part], key_of(self._recipe.seed, step, part.start)) for part in self._parts]

    def _batch(self, draws: Sequence[Draw], seed: int) -> TrainingBatch:
        material, recipe = self._material, self._recipe
        utterances = [material.train[draw.row] for draw in draws]
        views = []
        for view in range(1 + recipe.two_views):
            clips = []
            for utterance, draw in zip(utterances, draws, strict=True):
                samples, text, *_ = material.load(utterance)
                rng = np.random.default_rng((recipe.seed, 3, draw.number, view))
                # A copy: a variation may write into what it is given, and clips are kept.
                clips.append(Clip(vary(samples.copy(), rng, recipe.variation), text))
            views.append(collate(clips, material.tokenizer))
        targets = targets_of(utterances, material.labels, with_spelling=recipe.reads_spelling)
        return TrainingBatch(tuple(views), targets, tuple(one.utterance_id for one in utterances), seed)


def class_of(utterance: Utterance, labels: Sequence[str]) -> int:
    """The index of an utterance's label. Raises `UsageError` where it has none, or one that the model does not know."""
    if utterance.label not in labels:
        said = "no label" if utterance.label is None else f"label {utterance.label!r}"
        where = utterance.read_from or utterance.utterance_id
        raise UsageError(f"{where}: {said}; the model's labels are {', '.join(labels)}")
    return labels.index(utterance.label)


def targets_of(utterances: Sequence[Utterance], labels: Sequence[str], *, with_spelling: bool) -> Targets:
    """The truth of utterances, as far as it is known."""
    dimensions_B3 = torch.tensor([one.dimensions or NOT_KNOWN for one in utterances])
    return Targets(
        labels=torch.tensor([class_of(one, labels) for one in utterances]),
        dimensions=None if dimensions_B3.isnan().all() else dimensions_B3,
        ctc=pad_targets([to_symbols(one.text or "") for one in utterances]) if with_spelling else None,
    )
