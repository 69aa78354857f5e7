"""The measures, by definition.

Every measure here is a function of sums over utterances: counts of (true class, answer), sums of squares, and so on.
So the sums of a resample are sums of the sums of its clusters, and thousands of resamples are one matrix product.
`tests/training/evaluation/test_measures.py` holds each against scikit-learn or scipy.

Shape letters: N utterances, C clusters, R resamples, K classes, D sums. A leading "..." is any shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from mmer_ray.training.evaluation.answers import NO_LABEL, Answers, Floats

NUM_BINS = 15
"""Of equal width, for ECE (Guo et al. 2017, section 4.1, use 15)."""
DIMENSIONS = ("valence", "arousal", "dominance")
_DIMENSION_DEFINITIONS = {
    "ccc": "concordance correlation coefficient (Lin, Biometrics 1989) over all utterances at once, not by batch",
    "pearson": "Pearson correlation",
    "mae": "mean absolute error, on the scale -1..1",
}
DEFINITIONS: Mapping[str, str] = {
    "wa": "accuracy, the share of all utterances that is right",
    "ua": "macro recall, the mean over the classes that occur in the truth of their recall (balanced accuracy)",
    "macro_f1": "the mean over the classes that occur in the truth of their F1",
    "ece": f"expected calibration error of the best probability, {NUM_BINS} bins of equal width (Guo et al. 2017)",
    "nll": "mean negative log-likelihood of the true class, in nats",
    "brier": "mean over utterances of the summed squared error of all class probabilities, 0..2",
    "jsd": "mean Jensen-Shannon divergence between the raters' shares and the probabilities, in bits, 0..1",
    "kld": "mean Kullback-Leibler divergence of the raters' shares from the probabilities, in nats",
} | {
    f"{measure}_{dimension}": f"{words}: {dimension}"
    for dimension in DIMENSIONS
    for measure, words in _DIMENSION_DEFINITIONS.items()
}
LOWER_IS_BETTER = frozenset({"ece", "nll", "brier", "jsd", "kld", *(f"mae_{name}" for name in DIMENSIONS)})
WITHOUT_INTERVAL = frozenset({"ece"})
"""Of resamples it is too high on average: repeated utterances widen the gaps of its bins."""
_LEAST_PROBABILITY = np.finfo(np.float64).tiny


class _Field(NamedTuple):
    """Where sums of one kind lie among the D."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Summands:
    """What each utterance adds to the sums."""

    values: Floats
    """Shape (N, D)."""
    num_classes: int


def summands(answers: Answers) -> Summands:
    """What each utterance adds to the sums that the measures are made of."""
    parts = {
        "confusion": _confusion(answers),
        "bins": _bins(answers),
        "category": _category(answers),
        "soft": _soft(answers),
        "dimensions": _moments(answers),
    }
    fields = _fields(len(answers.labels))
    assert [field.name for field in fields] == list(parts)
    columns = [parts[field.name].reshape(len(answers.truth), -1) for field in fields]
    return Summands(np.concatenate(columns, axis=1), len(answers.labels))


def measures(sums: Floats, num_classes: int) -> dict[str, Floats]:
    """Name -> measure, of sums of shape (..., D): float64, shape (...,); NaN where it is not defined."""
    parts = _split(sums, num_classes)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = _of_confusion(parts["confusion"]) | {"ece": _ece(parts["bins"])}
        count, nll, brier = np.moveaxis(parts["category"], -1, 0)
        found |= {"nll": nll / count, "brier": brier / count}
        count, jsd, kld = np.moveaxis(parts["soft"], -1, 0)
        found |= {"jsd": jsd / count, "kld": kld / count}
        for index, name in enumerate(DIMENSIONS):
            of_one = _of_moments(parts["dimensions"][..., index, :])
            found |= {f"{measure}_{name}": value for measure, value in of_one.items()}
    return found


def recalls(sums: Floats, num_classes: int) -> Floats:
    """Recall of each class, of sums of shape (..., D): float64, shape (..., K); NaN of a class that does not occur."""
    confusion = _split(sums, num_classes)["confusion"]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.diagonal(confusion, axis1=-2, axis2=-1) / confusion.sum(axis=-1))


def confusion_of(sums: Floats, num_classes: int) -> NDArray[np.int64]:
    """Counts of (true class, answer), of sums of shape (..., D): int64, shape (..., K, K)."""
    return np.asarray(np.rint(_split(sums, num_classes)["confusion"]), np.int64)


def bins_of(sums: Floats, num_classes: int) -> Floats:
    """Of each bin of confidence: answers, sum of confidences, right answers; float64, shape (..., `NUM_BINS`, 3)."""
    return _split(sums, num_classes)["bins"]


def pooled(seeds: Sequence[Summands], rows: NDArray[np.bool_] | None = None) -> dict[str, float]:
    """The measures that are defined, over all utterances or those of `rows` (bool, shape (N,)), the mean over seeds."""
    found = [measures((one.values if rows is None else one.values[rows]).sum(axis=0), one.num_classes) for one in seeds]
    means = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    return {name: value for name, value in means.items() if np.isfinite(value)}


def bin_numbers(confidence: Floats) -> NDArray[np.int64]:
    """Which bin (low, high] a confidence falls into: int64, the shape of the confidences."""
    return np.clip(np.ceil(confidence * NUM_BINS).astype(np.int64) - 1, 0, NUM_BINS - 1)


def _fields(num_classes: int) -> Sequence[_Field]:
    return (
        _Field("confusion", (num_classes, num_classes)),
        _Field("bins", (NUM_BINS, 3)),
        _Field("category", (3,)),
        _Field("soft", (3,)),
        _Field("dimensions", (len(DIMENSIONS), 7)),
    )


def _split(sums: Floats, num_classes: int) -> dict[str, Floats]:
    fields = _fields(num_classes)
    borders = np.cumsum([int(np.prod(field.shape)) for field in fields])
    assert sums.shape[-1] == borders[-1]
    parts = np.split(sums, borders[:-1], axis=-1)
    return {field.name: part.reshape(*sums.shape[:-1], *field.shape) for field, part in zip(fields, parts, strict=True)}


def _confusion(answers: Answers) -> Floats:
    num = len(answers.labels)
    counts_NKK = np.zeros((len(answers.truth), num, num))
    rows = np.flatnonzero(answers.truth != NO_LABEL)
    counts_NKK[rows, answers.truth[rows], answers.guesses[rows]] = 1
    return counts_NKK


def _bins(answers: Answers) -> Floats:
    found = np.zeros((len(answers.truth), NUM_BINS, 3))
    rows = np.flatnonzero(answers.truth != NO_LABEL)
    confidence = answers.probabilities.max(axis=1)[rows]
    right = (answers.guesses == answers.truth)[rows]
    found[rows, bin_numbers(confidence)] = np.stack([np.ones(len(rows)), confidence, right], axis=1)
    return found


def _category(answers: Answers) -> Floats:
    """1, negative log-likelihood, Brier score."""
    found = np.zeros((len(answers.truth), 3))
    rows = np.flatnonzero(answers.truth != NO_LABEL)
    probabilities, truth = answers.probabilities[rows], answers.truth[rows]
    likelihood = np.maximum(probabilities[np.arange(len(rows)), truth], _LEAST_PROBABILITY)
    squared = np.square(probabilities - np.eye(len(answers.labels))[truth]).sum(axis=1)
    found[rows] = np.stack([np.ones(len(rows)), -np.log(likelihood), squared], axis=1)
    return found


def _soft(answers: Answers) -> Floats:
    """1, Jensen-Shannon divergence in bits, Kullback-Leibler divergence in nats."""
    found = np.zeros((len(answers.truth), 3))
    rows = np.flatnonzero(np.isfinite(answers.shares).all(axis=1))
    shares, given = answers.shares[rows], np.maximum(answers.probabilities[rows], _LEAST_PROBABILITY)
    middle = (shares + given) / 2
    jsd = (rel_entr(shares, middle) + rel_entr(given, middle)).sum(axis=1) / 2 / np.log(2)
    found[rows] = np.stack([np.ones(len(rows)), jsd, rel_entr(shares, given).sum(axis=1)], axis=1)
    return found


def _moments(answers: Answers) -> Floats:
    """Of each dimension: 1, x, y, x squared, y squared, x times y, |x - y|."""
    x, y = answers.true_dimensions, answers.dimensions
    moments_N37 = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y, np.abs(x - y)], axis=-1)
    return np.where((np.isfinite(x) & np.isfinite(y))[..., None], moments_N37, 0.0)


def _of_confusion(confusion: Floats) -> dict[str, Floats]:
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    true, answered = confusion.sum(axis=-1), confusion.sum(axis=-2)
    num_classes = (true > 0).sum(axis=-1)
    recall = np.where(true > 0, hits / true, 0.0)
    f1 = np.where(true > 0, 2 * hits / (true + answered), 0.0)
    return {
        "wa": hits.sum(axis=-1) / true.sum(axis=-1),
        "ua": recall.sum(axis=-1) / num_classes,
        "macro_f1": f1.sum(axis=-1) / num_classes,
    }


def _ece(bins: Floats) -> Floats:
    """Guo et al. 2017, equation 3: |accuracy - confidence| of each bin, weighted by its share of the answers."""
    count, confidence, right = np.moveaxis(bins, -1, 0)
    return np.asarray(np.abs(right - confidence).sum(axis=-1) / count.sum(axis=-1))


def _of_moments(moments: Floats) -> dict[str, Floats]:
    count, x, y, xx, yy, xy, distance = np.moveaxis(moments, -1, 0)
    mean_x, mean_y = x / count, y / count
    # Rounding can leave less than nothing of what is constant.
    var_x, var_y = (np.maximum(square / count - mean**2, 0.0) for square, mean in ((xx, mean_x), (yy, mean_y)))
    covariance = xy / count - mean_x * mean_y
    return {
        "ccc": 2 * covariance / (var_x + var_y + (mean_x - mean_y) ** 2),
        "pearson": covariance / np.sqrt(var_x * var_y),
        "mae": distance / count,
    }
