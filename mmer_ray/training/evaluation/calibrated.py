"""Temperatures from development data, and whether probabilities are then what they say.

A test utterance is judged with the temperature of its own fold, fitted on the fold's development speakers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from mmer_ray.errors import UsageError
from mmer_ray.training.calibration import temperature_of
from mmer_ray.training.evaluation.answers import NO_LABEL, Answers, Floats, Temperatures, answers_by_seed
from mmer_ray.training.evaluation.measures import NUM_BINS, bin_numbers, bins_of, measures, summands
from mmer_ray.training.evaluation.result import Calibration, ReliabilityBin, Verdict
from mmer_ray.training.predictions import Predictions

ECE_LIMIT = 0.05
MIN_UTTERANCES = 1000
"""The ECE of a perfectly calibrated model is about 0.1 on 100 utterances and 0.03 on 1,000, by chance alone
(`ece_if_perfect` says it for the confidences at hand)."""
_NUM_DRAWS = 200
_SEED = 0


def fit_temperature(development: Sequence[Predictions]) -> float:
    """The temperature with the least cross-entropy on all development predictions together.

    Raises `UsageError` where none of their utterances has a label that the model knows.
    """
    logits, truth = [], []
    for one in development:
        known = [row for row, utterance in enumerate(one.utterances) if utterance.label in one.labels]
        logits.append(one.logits[known])
        truth += [one.labels.index(str(one.utterances[row].label)) for row in known]
    if not truth:
        raise UsageError("there is no temperature without labelled development data: give some, or fit none")
    return temperature_of(torch.from_numpy(np.concatenate(logits)), torch.tensor(truth))


def fit_temperatures(predictions: Sequence[Predictions], development: Sequence[Predictions]) -> Temperatures:
    """One temperature for each fold and seed of the predictions.

    Raises `UsageError` where a fold has no development data, or shares an utterance with it.
    """
    by_fold: dict[tuple[str, int], list[Predictions]] = defaultdict(list)
    for one in development:
        by_fold[one.fold, one.seed].append(one)
    for one in predictions:
        _require_apart(one, by_fold[one.fold, one.seed])
    return {(one.fold, one.seed): fit_temperature(by_fold[one.fold, one.seed]) for one in predictions}


def _require_apart(test: Predictions, development: Sequence[Predictions]) -> None:
    if not development:
        raise UsageError(
            f"fold {test.fold!r}, seed {test.seed} has no development predictions: give those of every fold, or none"
        )
    chosen_on = {utterance.utterance_id for one in development for utterance in one.utterances}
    shared = chosen_on & {utterance.utterance_id for utterance in test.utterances}
    if shared:
        raise UsageError(
            f"{len(shared)} utterances of fold {test.fold!r} are both development and test, such as {min(shared)}: a "
            "temperature is fitted on other utterances than it is judged on"
        )


def calibration_of(
    predictions: Sequence[Predictions],
    development: Sequence[Predictions],
    temperatures: Temperatures | None,
    *,
    is_calibrated: bool,
) -> Calibration:
    """Measure calibration before and after the temperatures, the mean over seeds.

    `is_calibrated`: the logits come after a temperature that was fitted elsewhere; without others they are judged so.
    """
    before = answers_by_seed(predictions)
    after = before if temperatures is None else answers_by_seed(predictions, temperatures)
    ece_after = _ece(after) if is_calibrated or temperatures is not None else None
    num_labelled = int((after[0].truth != NO_LABEL).sum())
    return Calibration(
        verdict=_verdict(ece_after, num_labelled),
        ece_before=_ece(before),
        ece_after=ece_after,
        ece_if_perfect=float(np.mean([_ece_if_perfect(one) for one in after])),
        limit=ECE_LIMIT,
        min_utterances=MIN_UTTERANCES,
        num_utterances=num_labelled,
        temperatures={f"{fold}, seed {seed}": value for (fold, seed), value in (temperatures or {}).items()},
        temperature=None if temperatures is None else fit_temperature(development),
        bins=_reliability(after),
    )


def _verdict(ece_after: float | None, num_utterances: int) -> Verdict:
    if ece_after is None:
        return "not fitted"
    if num_utterances < MIN_UTTERANCES:
        return "too few"
    return "calibrated" if ece_after <= ECE_LIMIT else "not calibrated"


def _ece(seeds: Sequence[Answers]) -> float:
    values = [measures(summands(one).values.sum(axis=0), len(one.labels))["ece"] for one in seeds]
    return float(np.mean(values))


def _ece_if_perfect(answers: Answers) -> float:
    """Mean ECE where each answer is right with exactly the probability that it states (consistency resampling: Bröcker
    and Smith, "Increasing the Reliability of Reliability Diagrams", Weather and Forecasting 2007)."""
    confidence = answers.probabilities.max(axis=1)[answers.truth != NO_LABEL]
    numbers = bin_numbers(confidence)
    rights = np.random.default_rng(_SEED).random((_NUM_DRAWS, len(confidence))) < confidence
    gaps = [_gap(right - confidence, numbers) for right in rights]
    return float(np.mean(gaps) / len(confidence))


def _gap(error: Floats, numbers: NDArray[np.int64]) -> float:
    return float(np.abs(np.bincount(numbers, error, NUM_BINS)).sum())


def _reliability(seeds: Sequence[Answers]) -> tuple[ReliabilityBin, ...]:
    """The bins that hold an answer, those of all seeds together."""
    bins_B3 = sum(bins_of(summands(one).values.sum(axis=0), len(one.labels)) for one in seeds)
    edges = np.linspace(0, 1, NUM_BINS + 1)
    return tuple(
        ReliabilityBin(float(low), float(high), int(num), float(confidence / num), float(right / num))
        for low, high, (num, confidence, right) in zip(edges[:-1], edges[1:], np.asarray(bins_B3), strict=True)
        if num
    )
