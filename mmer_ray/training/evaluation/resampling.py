"""Bootstrap over clusters: whole speakers or dialogues are drawn, because utterances of one are alike.

Percentile intervals (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3) of whole clusters
drawn with replacement (Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8). All systems
and seeds are drawn by the same weights, so that differences are paired.

Shape letters: N utterances, C clusters, R resamples, D sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmer_ray.errors import UsageError
from mmer_ray.training.evaluation.answers import Floats
from mmer_ray.training.evaluation.measures import Summands, measures, recalls
from mmer_ray.training.evaluation.result import ClusterKind, Difference
from mmer_ray.training.utterances import Utterance

NUM_RESAMPLES = 2000
CONFIDENCE = 0.95
MIN_CLUSTERS = 20
"""With fewer, percentile intervals are too narrow: see the simulation in `tests/training/evaluation`."""


@dataclass(frozen=True)
class Clusters:
    """Which utterances belong together, and how often each cluster is drawn."""

    kind: ClusterKind
    of_utterance: NDArray[np.int64]
    """Shape (N,): number of each utterance's cluster."""
    weights: Floats
    """Shape (R, C): how often each cluster is in each resample; no resamples of fewer than two clusters."""

    @property
    def num(self) -> int:
        """Clusters."""
        return int(self.weights.shape[1])


def draw_clusters(utterances: Sequence[Utterance], kind: ClusterKind, num_resamples: int, seed: int) -> Clusters:
    """Draw resamples of speakers or dialogues. Raises `UsageError` where the corpus does not name the dialogues."""
    names = [_cluster_name(one, kind) for one in utterances]
    _, numbers = np.unique(names, return_inverse=True)
    num = int(numbers.max()) + 1
    weights_RC = np.empty((0, num))
    if num > 1:
        weights_RC = np.random.default_rng(seed).multinomial(num, np.full(num, 1 / num), num_resamples).astype(float)
    return Clusters(kind, numbers.astype(np.int64), weights_RC)


def _cluster_name(utterance: Utterance, kind: ClusterKind) -> str:
    if kind == "speaker":
        return utterance.speaker
    if utterance.dialogue is None:
        raise UsageError(f"{utterance.utterance_id} names no dialogue: resample over speakers (--cluster speaker)")
    return utterance.dialogue


def resampled(seeds: Sequence[Summands], clusters: Clusters) -> dict[str, Floats]:
    """Every measure of every resample, the mean over seeds: float64, shape (R,)."""
    num_classes = seeds[0].num_classes
    by_seed = [measures(_resampled_sums(one, clusters), num_classes) for one in seeds]
    return {name: np.mean([found[name] for found in by_seed], axis=0) for name in by_seed[0]}


def resampled_recalls(seeds: Sequence[Summands], clusters: Clusters) -> Floats:
    """Recall of each class in every resample, the mean over seeds: float64, shape (R, K)."""
    found = [recalls(_resampled_sums(one, clusters), one.num_classes) for one in seeds]
    return np.asarray(np.mean(found, axis=0))


def interval(values: Floats) -> tuple[float | None, float | None]:
    """The middle 95 % of resampled values; None where there are none that are numbers."""
    known = values[np.isfinite(values)]
    if not len(known):
        return None, None
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def difference(value: float, ours: Floats, theirs: Floats) -> Difference:
    """A difference with its interval and two-sided p, from resamples that were drawn by the same weights.

    p is twice the smaller share of resampled differences on one side of 0, 0 included, where one more resample on each
    side keeps it above 0 (Davison and Hinkley, equation 4.11).
    """
    found = ours - theirs
    found = found[np.isfinite(found)]
    if not len(found):
        return Difference(value, None, None, None)
    low, high = interval(found)
    tail = min(int((found <= 0).sum()), int((found >= 0).sum()))
    return Difference(value, low, high, min(1.0, 2 * (tail + 1) / (len(found) + 1)))


def differences(
    values: Mapping[str, float], others: Mapping[str, float], ours: Mapping[str, Floats], theirs: Mapping[str, Floats]
) -> dict[str, Difference]:
    """The difference of every measure that both systems have."""
    return {
        name: difference(value - others[name], ours[name], theirs[name])
        for name, value in values.items()
        if name in others
    }


def _resampled_sums(one: Summands, clusters: Clusters) -> Floats:
    sums_CD = np.zeros((clusters.num, one.values.shape[1]))
    np.add.at(sums_CD, clusters.of_utterance, one.values)
    return clusters.weights @ sums_CD
