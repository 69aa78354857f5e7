"""Two systems on the same utterances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from scipy.stats import binomtest

from mmer_ray.training.evaluation.answers import NO_LABEL, Answers, Floats, answers_by_seed, require_same_utterances
from mmer_ray.training.evaluation.calibrated import fit_temperatures
from mmer_ray.training.evaluation.measures import Summands, pooled, summands
from mmer_ray.training.evaluation.resampling import Clusters, differences, interval, resampled
from mmer_ray.training.evaluation.result import ComparedSystem, McNemar, Measure
from mmer_ray.training.predictions import Predictions


class OtherSystem(NamedTuple):
    """What to compare with: predictions for the same utterances."""

    predictions: Sequence[Predictions]
    development: Sequence[Predictions] = ()
    """Of the same folds and seeds; without them probabilities are compared as they are."""
    note: str = ""
    """What it is."""


class Named(NamedTuple):
    """The evaluated system."""

    name: str
    seeds: Sequence[Answers]
    sums: Sequence[Summands]
    drawn: Mapping[str, Floats]
    """Measure -> its values in the resamples, shape (R,)."""


def compare(ours: Named, name: str, other: OtherSystem, clusters: Clusters) -> ComparedSystem:
    """Measure another system on the resamples of ours; its classes may be in another order.

    Raises `UsageError` where it was tested on something else.
    """
    labels = ours.seeds[0].labels
    predictions = [one.in_order(labels) for one in other.predictions]
    development = [one.in_order(labels) for one in other.development]
    temperatures = fit_temperatures(predictions, development) if development else None
    theirs = answers_by_seed(predictions, temperatures)
    require_same_utterances(ours.seeds[0], theirs[0], ours.name, name)
    sums = [summands(one) for one in theirs]
    values, drawn = pooled(sums), resampled(sums, clusters)
    return ComparedSystem(
        name=name,
        metrics={key: Measure(value, *interval(drawn[key])) for key, value in values.items()},
        differences=differences(pooled(ours.sums), values, ours.drawn, drawn),
        mcnemar=mcnemar(ours.seeds, theirs),
        note=other.note,
    )


def mcnemar(ours: Sequence[Answers], theirs: Sequence[Answers]) -> tuple[McNemar, ...]:
    """Test each of our seeds exactly (McNemar 1947, as a binomial test of the utterances that one system alone got
    right) against the same seed of theirs, or against their only one."""
    by_seed = {answers.seed: answers for answers in theirs}
    found = []
    for one in ours:
        other = theirs[0] if len(theirs) == 1 else by_seed.get(one.seed)
        known = one.truth != NO_LABEL
        if other is None or not known.any():
            continue
        our_rights, their_rights = ((answers.guesses == one.truth)[known] for answers in (one, other))
        ours_only, theirs_only = int((our_rights & ~their_rights).sum()), int((their_rights & ~our_rights).sum())
        num_unequal = ours_only + theirs_only
        p = float(binomtest(ours_only, num_unequal).pvalue) if num_unequal else 1.0
        found.append(McNemar(one.seed, ours_only, theirs_only, p))
    return tuple(found)
