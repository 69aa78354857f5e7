"""Two emotion models on the same utterances: `mmer lake compare`.

Agreement, Cohen's kappa (Cohen 1960, as scikit-learn computes it), the confusion table and the shares of labels count
the utterances that both gave a label. The distance between two answers is the total variation of their probabilities,
half the sum of absolute differences, 0..1; a class that one model does not know has the probability 0 there. Audio that
several corpora have counts once.
"""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmer_ray.errors import UsageError
from mmer_ray.tables import CLASSES, Row

if TYPE_CHECKING:
    from mmer_ray.lake.queries import LakeReader

DIMENSIONS = ("valence", "arousal", "dominance")
_COLUMNS = [f"p_{name}" for name in (*CLASSES, "other")]
_DISTANCE = " + ".join(f"abs(coalesce(ours.{name}, 0) - coalesce(theirs.{name}, 0))" for name in _COLUMNS)
_HAS_P = "coalesce({}) IS NOT NULL"
_BOTH_P = " AND ".join(_HAS_P.format(", ".join(f"{side}.{name}" for name in _COLUMNS)) for side in ("ours", "theirs"))
OF_CORPUS = "$corpus IS NULL OR corpus = $corpus"
"""A condition on the columns `corpus` and `day`."""


def counted_once(places: str) -> str:
    """The query that gives each hearing once, as the first corpus that has it and fits shows it: `recording_id`,
    `heard_key`, `corpus`. `places` is a condition of our own making on `corpus` and `day`."""
    return f"SELECT recording_id, heard_key, min(corpus) AS corpus FROM internal.shown WHERE {places} GROUP BY ALL"


def asked_scorers(places: str) -> str:
    """The query that gives each `scorer` that was asked about a recording, sorted, from what is kept for each hearing:
    the answers themselves are many."""
    return f"""
        SELECT DISTINCT scorer FROM internal.felt SEMI JOIN ({counted_once(places)}) USING (recording_id, heard_key)
        ORDER BY scorer
    """


SCORERS = f"SELECT DISTINCT scorer FROM emotions WHERE {OF_CORPUS} ORDER BY scorer"


@dataclass(frozen=True)
class Statements:
    """What is asked of a lake. Each has the parameters `$first` and `$second`, and those of the conditions."""

    cells: str
    """`first_label`, `second_label`, `num`: how often the two stand together; null where a model gave no label."""
    shifts: str
    """One row: mean difference and number of each dimension, and the mean `distance`."""
    furthest: str
    """The `$limit` utterances furthest apart, the fields of `Disagreement`."""


def statements(places: str = OF_CORPUS, condition: str = "true") -> Statements:
    """The statements over the answers that fit conditions of our own making: `places` on `corpus` and `day`,
    `condition` on all columns of `emotions`."""
    shifts = ", ".join(
        f"avg(theirs.{name} - ours.{name}) AS {name}, count(theirs.{name} - ours.{name}) AS num_{name}"
        for name in DIMENSIONS
    )
    distance = f"CASE WHEN {_BOTH_P} THEN 0.5 * ({_DISTANCE}) END"
    return Statements(
        cells=f"""
            {_pairs(places, condition, ["label"])}
            SELECT ours.label AS first_label, theirs.label AS second_label, count(*) AS num FROM {_PAIRED}
            GROUP BY ALL ORDER BY ALL
        """,
        shifts=f"""
            {_pairs(places, condition, [*_COLUMNS, *DIMENSIONS])}
            SELECT {shifts}, avg({distance}) AS distance FROM {_PAIRED}
        """,
        furthest=f"""
            {_pairs(places, condition, ["label", *_COLUMNS])}, furthest AS (
                SELECT recording_id, heard_key, corpus, utterance_idx, ours.label AS first_label,
                    theirs.label AS second_label, {distance} AS distance
                FROM {_PAIRED} JOIN once USING (hearing)
                WHERE distance > 0 ORDER BY distance DESC, recording_id, utterance_idx LIMIT $limit
            )
            SELECT said.corpus, said.recording_id, file.uri, said.utterance_idx, said.start_ms / 1000 AS start_s,
                said.end_ms / 1000 AS end_s, said.speaker, said.text, first_label, second_label, distance
            FROM furthest JOIN utterances AS said USING (corpus, recording_id, heard_key, utterance_idx)
            JOIN (
                SELECT corpus, recording_id, min(uri) AS uri FROM recordings WHERE status = 'scored' GROUP BY ALL
            ) AS file USING (corpus, recording_id)
            ORDER BY distance DESC, recording_id, utterance_idx
        """,
    )


_PAIRED = "ours JOIN theirs USING (hearing, utterance_idx)"


def _pairs(places: str, condition: str, columns: Sequence[str]) -> str:
    """A WITH clause that makes `ours` and `theirs`, the answers of the two models with these columns alone, and `once`.

    Hearings are numbered and each side is made before the two are joined: millions of answers fit the memory so.
    """
    sides = ", ".join(
        f"""{side} AS MATERIALIZED (
            SELECT hearing, utterance_idx, {", ".join(columns)}
            FROM emotions JOIN once USING (recording_id, heard_key, corpus) WHERE scorer = ${scorer} AND ({condition})
        )"""
        for side, scorer in (("ours", "first"), ("theirs", "second"))
    )
    numbered = f"SELECT *, row_number() OVER () AS hearing FROM ({counted_once(places)})"
    return f"WITH once AS MATERIALIZED ({numbered}), {sides}"


@dataclass(frozen=True)
class Disagreement:
    """One utterance, two answers."""

    corpus: str
    recording_id: str
    uri: str
    utterance_idx: int
    start_s: float
    end_s: float
    speaker: str
    text: str
    first_label: str | None
    """None where the model gave no label: it withheld it."""
    second_label: str | None
    distance: float
    """Total variation, 0..1."""


@dataclass(frozen=True)
class Shift:
    """What a model adds to the other one's values."""

    mean: float
    """Second minus first, over the utterances that have both."""
    num_utterances: int


@dataclass(frozen=True)
class Comparison:
    """How two emotion models differ."""

    first: str
    second: str
    num_utterances: int
    """Those that both were asked about."""
    num_labelled: int
    """Those that both gave a label."""
    num_first_only: int
    """Those that the first alone gave a label, the other having skipped or withheld it."""
    num_second_only: int
    num_agreed: int
    kappa: float | None
    """Cohen's kappa, -1..1; None where it is not defined: nothing to compare, or one label in all answers."""
    labels: tuple[str, ...]
    """All labels that occur, sorted."""
    confusion: tuple[tuple[int, ...], ...]
    """Utterances, shape (num_labels, num_labels): a row for each label of the first model."""
    first_shares: Mapping[str, float]
    """Label -> share of the labelled utterances."""
    second_shares: Mapping[str, float]
    shifts: Mapping[str, Shift]
    """Dimension -> shift, for those that both models give."""
    mean_distance: float | None
    disagreements: tuple[Disagreement, ...]
    """The furthest apart first."""

    @property
    def agreement(self) -> float | None:
        """Share of the labelled utterances with equal labels."""
        return self.num_agreed / self.num_labelled if self.num_labelled else None


def compare(reader: LakeReader, first: str, second: str, corpus: str | None = None, limit: int = 10) -> Comparison:
    """Compare the answers of two models, and name the `limit` utterances on which they are furthest apart.

    Raises `UsageError` for a model without answers there.
    """
    _require_answers(reader, (first, second), corpus)
    asked, of = {"first": first, "second": second, "corpus": corpus}, statements()
    (means,) = reader.sql(of.shifts, asked).to_pylist()
    furthest = reader.sql(of.furthest, asked | {"limit": limit}).to_pylist()
    return comparison_of(first, second, reader.sql(of.cells, asked).to_pylist(), means, furthest)


def comparison_of(first: str, second: str, cells: Iterable[Row], means: Row, furthest: Iterable[Row]) -> Comparison:
    """What the answers to `statements` say."""
    counts: Counter[tuple[str | None, str | None]] = Counter()
    for row in cells:
        counts[row["first_label"], row["second_label"]] = row["num"]
    both = {(one, other): num for (one, other), num in counts.items() if one is not None and other is not None}
    labels = tuple(sorted({label for pair in both for label in pair}))
    num_labelled = sum(both.values())
    return Comparison(
        first=first,
        second=second,
        num_utterances=counts.total(),
        num_labelled=num_labelled,
        num_first_only=sum(num for (one, other), num in counts.items() if one is not None and other is None),
        num_second_only=sum(num for (one, other), num in counts.items() if one is None and other is not None),
        num_agreed=sum(num for (one, other), num in both.items() if one == other),
        kappa=_kappa(both),
        labels=labels,
        confusion=tuple(tuple(both.get((one, other), 0) for other in labels) for one in labels),
        first_shares={one: sum(both.get((one, other), 0) for other in labels) / num_labelled for one in labels},
        second_shares={one: sum(both.get((other, one), 0) for other in labels) / num_labelled for one in labels},
        shifts={name: Shift(means[name], means[f"num_{name}"]) for name in DIMENSIONS if means[f"num_{name}"]},
        mean_distance=means["distance"],
        disagreements=tuple(Disagreement(**row) for row in furthest),
    )


def _require_answers(reader: LakeReader, scorers: tuple[str, str], corpus: str | None) -> None:
    known = [row["scorer"] for row in reader.sql(SCORERS, {"corpus": corpus}).to_pylist()]
    for scorer in scorers:
        if scorer not in known:
            where = f"corpus {corpus!r} of {reader.address}" if corpus else reader.address
            raise UsageError(f"{scorer!r} has no answers in {where}; these have: {', '.join(known) or 'none'}")


def _kappa(cells: Mapping[tuple[Any, Any], int]) -> float | None:
    if len({label for pair in cells for label in pair}) < 2:
        return None
    # It takes half a second to import.
    from sklearn.metrics import cohen_kappa_score

    ours, theirs = zip(*cells, strict=True)
    kappa = float(cohen_kappa_score(ours, theirs, sample_weight=list(cells.values())))
    return kappa if math.isfinite(kappa) else None
