"""From predictions to an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mmer_ray.training.evaluation.answers import (
    NO_LABEL,
    Answers,
    Floats,
    answers_by_seed,
)
from mmer_ray.training.evaluation.calibrated import calibration_of, fit_temperatures
from mmer_ray.training.evaluation.comparison import Named, OtherSystem, compare
from mmer_ray.training.evaluation.groups import groupings
from mmer_ray.training.evaluation.measures import WITHOUT_INTERVAL, Summands, confusion_of, pooled, recalls, summands
from mmer_ray.training.evaluation.resampling import (
    MIN_CLUSTERS,
    NUM_RESAMPLES,
    Clusters,
    draw_clusters,
    interval,
    resampled,
    resampled_recalls,
)
from mmer_ray.training.evaluation.result import (
    REFERENCE_TEXT,
    ClusterKind,
    Evaluation,
    FoldResult,
    Group,
    Measure,
    TextCondition,
)
from mmer_ray.training.predictions import Predictions
from mmer_ray.training.utterances import Corpus, Split

ORACLE_NOTE = "ORACLE: epochs or settings were chosen on the test data. These figures are too high and prove nothing."
GROUP_METRICS = ("wa", "ua", "macro_f1", "ccc_valence", "ccc_arousal", "ccc_dominance")


@dataclass(frozen=True)
class Conditions:
    """What figures hang on beside the predictions: stamped on the report."""

    protocol: str = ""
    text: TextCondition = REFERENCE_TEXT
    oracle: bool = False
    is_calibrated: bool = False
    """The logits come after a temperature that was fitted before, on other data."""
    cluster: ClusterKind = "speaker"
    num_resamples: int = NUM_RESAMPLES
    seed: int = 0
    """Of the resampling."""
    num_left_out: Mapping[str, int] = field(default_factory=dict)
    """Why utterances of the corpus were not tested -> how many."""
    notes: tuple[str, ...] = ()


def evaluate(
    predictions: Sequence[Predictions],
    system: str,
    corpus: Corpus,
    conditions: Conditions | None = None,
    *,
    development: Sequence[Predictions] = (),
    splits: Sequence[Split] = (),
    others: Mapping[str, OtherSystem] | None = None,
) -> Evaluation:
    """Evaluate the test predictions of all folds and seeds of one system.

    With `development`, probabilities are judged after temperatures fitted on it. With `splits`, utterances whose
    transcript was heard in training are told from the others. `others`: systems and baselines to compare with. Raises
    `UsageError` where predictions do not fit together.
    """
    conditions = conditions or Conditions()
    temperatures = fit_temperatures(predictions, development) if development else None
    seeds = answers_by_seed(predictions, temperatures)
    first, sums = seeds[0], [summands(one) for one in seeds]
    clusters = draw_clusters(first.utterances, conditions.cluster, conditions.num_resamples, conditions.seed)
    totals = np.stack([one.values.sum(axis=0) for one in sums])
    drawn = resampled(sums, clusters)
    return Evaluation(
        system=system,
        corpus=corpus.name,
        corpus_digest=corpus.digest,
        labels=first.labels,
        num_utterances=len(first.utterances),
        num_speakers=len({one.speaker for one in first.utterances}),
        metrics=_metrics(sums, drawn, first.folds),
        recall=_recall_by_label(sums, clusters, first.labels),
        confusion=tuple(map(tuple, confusion_of(totals.sum(axis=0), len(first.labels)).tolist())),
        protocol=conditions.protocol,
        seeds=tuple(one.seed for one in seeds),
        folds=_fold_results(seeds, sums),
        text=conditions.text,
        oracle=conditions.oracle,
        cluster=conditions.cluster,
        num_clusters=clusters.num,
        num_resamples=len(clusters.weights),
        groups=_groups(seeds, sums, conditions, splits),
        calibration=calibration_of(predictions, development, temperatures, is_calibrated=conditions.is_calibrated)
        if (first.truth != NO_LABEL).any()
        else None,
        compared=tuple(
            compare(Named(system, seeds, sums, drawn), name, other, clusters) for name, other in (others or {}).items()
        ),
        num_left_out=conditions.num_left_out,
        notes=(*conditions.notes, *_notes(conditions, clusters)),
    )


def _notes(conditions: Conditions, clusters: Clusters) -> list[str]:
    notes = [ORACLE_NOTE] if conditions.oracle else []
    if clusters.num < 2:
        notes.append(f"One {clusters.kind} alone: there are no intervals.")
    elif clusters.num < MIN_CLUSTERS:
        notes.append(
            f"{clusters.num} {clusters.kind}s: intervals of fewer than {MIN_CLUSTERS} are too narrow. Take them as a "
            "lower bound of the uncertainty."
        )
    return notes


def _metrics(seeds: Sequence[Summands], drawn: Mapping[str, Floats], folds: Sequence[str]) -> dict[str, Measure]:
    """Pooled values with their spread over resamples, folds and seeds."""
    names = np.array(folds)
    by_seed = [pooled([one]) for one in seeds]
    by_fold = [pooled(seeds, names == fold) for fold in dict.fromkeys(folds)]
    found = {}
    for name, value in pooled(seeds).items():
        low, high = (None, None) if name in WITHOUT_INTERVAL else interval(drawn[name])
        of_folds = [fold[name] for fold in by_fold if name in fold]
        found[name] = Measure(
            value=value,
            low=low,
            high=high,
            fold_mean=float(np.mean(of_folds)) if len(of_folds) > 1 else None,
            fold_sd=_deviation(of_folds),
            seed_sd=_deviation([seed[name] for seed in by_seed if name in seed]),
        )
    return found


def _recall_by_label(seeds: Sequence[Summands], clusters: Clusters, labels: Sequence[str]) -> dict[str, Measure]:
    values_K = np.mean([recalls(one.values.sum(axis=0), one.num_classes) for one in seeds], axis=0)
    drawn_RK = resampled_recalls(seeds, clusters)
    return {
        label: Measure(float(value), *interval(drawn_RK[:, index]))
        for index, (label, value) in enumerate(zip(labels, values_K, strict=True))
        if np.isfinite(value)
    }


def _fold_results(seeds: Sequence[Answers], sums: Sequence[Summands]) -> tuple[FoldResult, ...]:
    found = []
    for answers, one in zip(seeds, sums, strict=True):
        names = np.array(answers.folds)
        for fold in dict.fromkeys(sorted(answers.folds)):
            rows = names == fold
            found.append(FoldResult(fold, answers.seed, int(rows.sum()), pooled([one], rows)))
    return tuple(found)


def _groups(
    seeds: Sequence[Answers], sums: Sequence[Summands], conditions: Conditions, splits: Sequence[Split]
) -> tuple[Group, ...]:
    utterances = seeds[0].utterances
    folds = {one.utterance_id: fold for one, fold in zip(utterances, seeds[0].folds, strict=True)}
    found = []
    for by, part_of in groupings({split.name: split for split in splits}, folds).items():
        parts = np.array([part_of(one) or "" for one in utterances])
        names = [name for name in np.unique(parts) if name]
        # One part that is everything says what the whole already does.
        if len(names) > 1:
            found += [_group(by, str(name), parts == name, seeds[0], sums, conditions) for name in names]
    return tuple(found)


def _group(
    by: str,
    name: str,
    rows: NDArray[np.bool_],
    answers: Answers,
    sums: Sequence[Summands],
    conditions: Conditions,
) -> Group:
    members = [one for one, inside in zip(answers.utterances, rows, strict=True) if inside]
    inside = [Summands(one.values[rows], one.num_classes) for one in sums]
    clusters = draw_clusters(members, conditions.cluster, conditions.num_resamples, conditions.seed)
    drawn = resampled(inside, clusters)
    values = pooled(inside)
    metrics = {key: Measure(values[key], *interval(drawn[key])) for key in GROUP_METRICS if key in values}
    return Group(by, name, len(members), len({one.speaker for one in members}), metrics)


def _deviation(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None
