"""The answers of one seed to the whole test set, folds put together and set against the truth.

Shape letters: N utterances, K classes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from mmer_ray.errors import UsageError
from mmer_ray.training.predictions import Predictions
from mmer_ray.training.utterances import Utterance

NO_LABEL = -1
Floats = NDArray[np.float64]
Temperatures = Mapping[tuple[str, int], float]
"""(fold, seed) -> temperature."""


@dataclass(frozen=True)
class Answers:
    """Sorted by utterance id, so that row n is the same utterance in the answers of every seed and system."""

    utterances: tuple[Utterance, ...]
    labels: tuple[str, ...]
    folds: tuple[str, ...]
    """Of each utterance."""
    truth: NDArray[np.int64]
    """Shape (N,): index into `labels`, `NO_LABEL` where the corpus has none."""
    shares: Floats
    """Shape (N, K): shares of the raters over `labels`; a row of NaN where they are not known."""
    probabilities: Floats
    """Shape (N, K), after the temperature."""
    true_dimensions: Floats
    """Shape (N, 3), NaN where unknown."""
    dimensions: Floats
    """Shape (N, 3), NaN where the model has none."""
    seed: int

    def __post_init__(self) -> None:
        assert len(self.utterances) == len(self.truth) == len(self.probabilities) == len(self.dimensions)

    @property
    def guesses(self) -> NDArray[np.int64]:
        """The most probable class of each utterance: int64, shape (N,)."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)


def answers_by_seed(predictions: Sequence[Predictions], temperatures: Temperatures | None = None) -> list[Answers]:
    """Put the folds of each seed together. Without temperatures logits are taken as they are.

    Raises `UsageError` for no predictions, an utterance that is tested twice, a label that the model does not know,
    logits that are no numbers, and seeds that were tested on different utterances.
    """
    by_seed: dict[int, list[Predictions]] = defaultdict(list)
    for one in predictions:
        by_seed[one.seed].append(one)
    if not any(one.utterances for one in predictions):
        raise UsageError("there is nothing to evaluate: the predictions hold no utterance")
    found = [_pooled(by_seed[seed], temperatures) for seed in sorted(by_seed)]
    for other in found[1:]:
        require_same_utterances(found[0], other, f"seed {found[0].seed}", f"seed {other.seed}")
    return found


def require_same_utterances(first: Answers, second: Answers, first_name: str, second_name: str) -> None:
    """Raise `UsageError` unless both were tested on the same utterances under the same labels."""
    if first.labels != second.labels:
        raise UsageError(
            f"{first_name} answers with {', '.join(first.labels)}, {second_name} with {', '.join(second.labels)}: "
            "only systems of the same labels are compared"
        )
    ids, others = ({one.utterance_id for one in answers.utterances} for answers in (first, second))
    if ids != others:
        example = min(ids ^ others)
        raise UsageError(
            f"{first_name} and {second_name} were tested on different utterances ({len(ids ^ others)} are in one alone,"
            f" such as {example}): test both on the same corpus and protocol"
        )


def _pooled(folds: Sequence[Predictions], temperatures: Temperatures | None) -> Answers:
    labels = folds[0].labels
    for fold in folds:
        if fold.labels != labels:
            raise UsageError(f"the folds of seed {fold.seed} answer with different labels: train them alike")
    utterances = [utterance for fold in folds for utterance in fold.utterances]
    _require_unique(utterances, folds[0].seed)
    probabilities_NK = np.concatenate([_probabilities(fold, temperatures) for fold in folds])
    names = [fold.fold for fold in folds for _ in fold.utterances]
    dimensions_N3 = np.concatenate([_dimensions(fold) for fold in folds])
    order = sorted(range(len(utterances)), key=lambda row: utterances[row].utterance_id)
    ordered = tuple(utterances[row] for row in order)
    return Answers(
        utterances=ordered,
        labels=labels,
        folds=tuple(names[row] for row in order),
        truth=np.array([_class_of(one, labels) for one in ordered], np.int64),
        shares=np.array([_shares(one, labels) for one in ordered]).reshape(-1, len(labels)),
        probabilities=probabilities_NK[order],
        true_dimensions=np.array([one.dimensions or [math.nan] * 3 for one in ordered], np.float64).reshape(-1, 3),
        dimensions=dimensions_N3[order],
        seed=folds[0].seed,
    )


def _require_unique(utterances: Sequence[Utterance], seed: int) -> None:
    seen: set[str] = set()
    for one in utterances:
        if one.utterance_id in seen:
            raise UsageError(f"utterance {one.utterance_id} is tested twice under seed {seed}: folds share no test")
        seen.add(one.utterance_id)


def _probabilities(fold: Predictions, temperatures: Temperatures | None) -> Floats:
    bad = ~np.isfinite(fold.logits).all(axis=1)
    if bad.any():
        example = fold.utterances[int(np.flatnonzero(bad)[0])].utterance_id
        raise UsageError(f"the logits of {int(bad.sum())} utterances are no numbers, such as those of {example}")
    temperature = 1.0 if temperatures is None else temperatures[fold.fold, fold.seed]
    return np.asarray(softmax(fold.logits.astype(np.float64) / temperature, axis=1))


def _dimensions(fold: Predictions) -> Floats:
    if fold.dimensions is None:
        return np.full((len(fold.utterances), 3), math.nan)
    return fold.dimensions.astype(np.float64)


def _class_of(utterance: Utterance, labels: Sequence[str]) -> int:
    if utterance.label is None:
        return NO_LABEL
    if utterance.label not in labels:
        place = f" ({utterance.read_from})" if utterance.read_from else ""
        raise UsageError(
            f"{utterance.utterance_id}{place} is labelled {utterance.label!r}, which the model does not know; it knows "
            f"{', '.join(labels)}: leave such utterances out, or map their labels"
        )
    return labels.index(utterance.label)


def _shares(utterance: Utterance, labels: Sequence[str]) -> Floats:
    """Votes for other classes than the model's are left out, and the rest made to sum to 1."""
    known = np.array([(utterance.shares or {}).get(label, 0.0) for label in labels], np.float64)
    return known / known.sum() if known.sum() > 0 else np.full(len(labels), math.nan)
