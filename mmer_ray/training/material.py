"""What a family is trained on: labelled utterances, and the batches that its steps see.

Shape letters: B utterances, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmer_ray.errors import UsageError
from mmer_ray.models.ctc.losses import pad_targets
from mmer_ray.models.ctc.vocabulary import to_symbols
from mmer_ray.models.interface import Clip, Targets, collate
from mmer_ray.models.library import PreTrainedTokenizerBase
from mmer_ray.training import world
from mmer_ray.training.augment import vary
from mmer_ray.training.batch import TrainingBatch
from mmer_ray.training.kept_clips import Load, length_s, lengthened
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
    min_samples: int = 1
    """The fewest samples that the model can judge: shorter sounds get silence behind them."""

    def __post_init__(self) -> None:
        if not self.train:
            raise UsageError(
                "the training set has no utterance: name a corpus with more speakers, or a protocol with fewer folds"
            )
        for utterance in (*self.train, *self.development):
            class_of(utterance, self.labels)


class Batches:
    """The batches of a training, each computed from its step's number; of them, this worker's micro-batches."""

    def __init__(self, material: Material, recipe: Recipe) -> None:
        self._parts = recipe.parts(world.rank(), world.size())
        self._material = material
        self._recipe = recipe
        classes = [class_of(one, material.labels) for one in material.train]
        self._knows_dimensions = any(one.dimensions is not None for one in material.train)
        self._class_weights = _inverse_shares(classes, len(material.labels))
        self._sampler = Sampler(
            classes,
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
                varied = vary(samples.copy(), rng, recipe.variation)
                clips.append(Clip(lengthened(varied, material.min_samples), text))
            views.append(collate(clips, material.tokenizer))
        return TrainingBatch(
            tuple(views), self._targets(utterances), tuple(one.utterance_id for one in utterances), seed
        )

    def _targets(self, utterances: Sequence[Utterance]) -> Targets:
        """The truth of utterances: the same fields in every batch of a training."""
        labels, recipe = self._material.labels, self._recipe
        return Targets(
            labels=torch.tensor([class_of(one, labels) for one in utterances]),
            dimensions=torch.tensor([one.dimensions or NOT_KNOWN for one in utterances])
            if self._knows_dimensions
            else None,
            ctc=pad_targets([to_symbols(one.text or "") for one in utterances]) if recipe.reads_spelling else None,
            shares=torch.tensor([_shares_of(one, labels) for one in utterances]) if recipe.soft_labels else None,
            class_weights=self._class_weights if recipe.class_weights else None,
        )


def class_of(utterance: Utterance, labels: Sequence[str]) -> int:
    """The index of an utterance's label. Raises `UsageError` where it has none, or one that the model does not know."""
    if utterance.label not in labels:
        said = "no label" if utterance.label is None else f"label {utterance.label!r}"
        where = utterance.read_from or utterance.utterance_id
        raise UsageError(f"{where}: {said}; the model's labels are {', '.join(labels)}")
    return labels.index(utterance.label)


def _shares_of(utterance: Utterance, labels: Sequence[str]) -> list[float]:
    """The raters' shares of the model's classes, which sum to one; without raters, all of it is the label's."""
    given = [(utterance.shares or {}).get(label, 0.0) for label in labels]
    if not sum(given):
        given = [float(label == utterance.label) for label in labels]
    return [share / sum(given) for share in given]


def _inverse_shares(classes: Sequence[int], num_classes: int) -> Tensor:
    """Weight of each class, the mean over utterances being one: float, shape (K,); 1 of one that does not occur."""
    counts_K = np.bincount(classes, minlength=num_classes)
    num_present = np.count_nonzero(counts_K)
    weights_K = np.where(counts_K > 0, len(classes) / (num_present * np.maximum(counts_K, 1)), 1.0)
    return torch.tensor(weights_K, dtype=torch.float32)
