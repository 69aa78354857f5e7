"""Two emotion models on the same utterances: `mmer lake compare`.

Agreement, Cohen's kappa (Cohen 1960, as scikit-learn computes it), the confusion table and the shares of labels count
the utterances that both gave a label. The distance between two answers is the total variation of their probabilities,
half the sum of absolute differences, 0..1; a class that one model does not know has the probability 0 there. Audio that
several corpora have counts once.

What a policy withholds of one model is left out of both: what another one said of the same words, before there was the
policy, is no more to be shown than its own.
"""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
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


_FURTHEST = """
    furthest AS (
        SELECT recording_id, heard_key, corpus, utterance_idx, first_label, second_label, distance FROM (
            SELECT first_label, second_label, -rank.before AS hearing, -rank.above AS utterance_idx,
                rank.distance / 2000.0::DOUBLE AS distance
            FROM (SELECT first_label, second_label, unnest(ranks) AS rank FROM cells)
            ORDER BY rank DESC LIMIT $limit
        ) JOIN once USING (hearing)
    ), found AS (
        SELECT first_label, second_label, list({
            'corpus': said.corpus, 'recording_id': said.recording_id, 'uri': file.uri,
            'utterance_idx': said.utterance_idx, 'start_s': said.start_ms / 1000, 'end_s': said.end_ms / 1000,
            'speaker': said.speaker, 'text': said.text, 'distance': distance
        }) AS furthest
        FROM furthest JOIN utterances AS said USING (corpus, recording_id, heard_key, utterance_idx)
        JOIN (
            SELECT corpus, recording_id, min(uri) AS uri FROM recordings SEMI JOIN furthest
            USING (corpus, recording_id) WHERE status = 'scored' GROUP BY ALL
        ) AS file USING (corpus, recording_id)
        GROUP BY ALL
    )
"""
"""Of the tables that `statement` makes: the `$limit` utterances furthest apart, by the pair of their labels."""


def statement(places: str = OF_CORPUS, fitting: str | None = None, withheld: str | None = None) -> str:
    """The query that compares the models `$first` and `$second`, with the parameters of its conditions besides.

    A row for each pair of labels that stands together: `first_label`, `second_label` (null where a model gave none) and
    `num`, how often; of each dimension and of `distance`: how many there are (`num_...`) and the sum of second minus
    first (`..._sum`); and in `furthest` the pair's part of the `$limit` utterances that are furthest apart, with the
    fields of `Disagreement`. All in one query: the answers, millions of rows, are then read and joined once.

    What is compared fits what is of our own making: `places`, a condition on `corpus` and `day`, and two queries that
    give `corpus`, `recording_id` and `utterance_idx` of utterances: `fitting`, None: all, and `withheld`, those to
    leave out besides what a policy withholds of one of the two models; None: none.
    """
    distance = f"CASE WHEN {_BOTH_P} THEN {_DISTANCE} END"
    # The greatest of these is the furthest apart, of equal ones the first.
    rank = f"{{'distance': {distance}, 'before': -hearing, 'above': -utterance_idx}}"
    return f"""
        {_pairs(places, fitting, withheld)}, cells AS MATERIALIZED (
            SELECT ours.label AS first_label, theirs.label AS second_label, count(*) AS num, {_sums(distance)},
                max({rank}, greatest($limit, 1)) FILTER (WHERE {distance} > 0) AS ranks
            FROM ours JOIN theirs USING (hearing, utterance_idx) GROUP BY ALL
        ), {_FURTHEST}
        SELECT cells.* EXCLUDE (ranks), coalesce(found.furthest, []) AS furthest FROM cells LEFT JOIN found
        ON cells.first_label IS NOT DISTINCT FROM found.first_label
            AND cells.second_label IS NOT DISTINCT FROM found.second_label
        ORDER BY first_label, second_label
    """


def _sums(distance: str) -> str:
    """Columns of `statement`: how many values there are of each dimension and of `distance`, and their sum."""
    summed = {name: f"theirs.{name} - ours.{name}" for name in DIMENSIONS} | {"distance": distance}
    return ", ".join(
        f"count({value}) AS num_{name}, coalesce(sum({value}), 0)::DOUBLE / {2000 if name == 'distance' else 1000} "
        f"AS {name}_sum"
        for name, value in summed.items()
    )


def _pairs(places: str, fitting: str | None, withheld: str | None) -> str:
    """A WITH clause that makes `ours` and `theirs`, the answers of the two models with labels and numbers alone, and
    `once`. Numbers are in thousandths, as which scores are kept.

    Hearings are numbered in the order of `recording_id`, and each side is made before the two are joined: millions of
    answers fit the memory so. The rows are those of the view `emotions`, but what decides about a hearing is joined
    first: the answers, by far the most rows, meet one small table. Of the view DuckDB held all answers in memory.
    """
    chosen = "" if fitting is None else " SEMI JOIN chosen USING (hearing, utterance_idx)"
    # A list beside each hearing: of an anti join with a table that is mostly empty, DuckDB held all answers in memory.
    listed = "" if withheld is None else "LEFT JOIN withheld USING (hearing)"
    left_out = "" if withheld is None else "AND NOT list_contains(coalesce(asked.withheld, []), part.utterance_idx)"
    numbers = ", ".join(f"round(1000 * {name})::SMALLINT AS {name}" for name in (*_COLUMNS, *DIMENSIONS))
    sides = ", ".join(
        f"""asked_{side} AS MATERIALIZED (
            SELECT * FROM (
                SELECT once.*, felt.emotions_commit FROM once LEFT JOIN internal.felt AS felt
                ON felt.recording_id = once.recording_id AND felt.heard_key = once.heard_key AND felt.scorer = ${scorer}
            ) {listed}
        ), {side} AS MATERIALIZED (
            SELECT hearing, utterance_idx, label, {numbers} FROM (
                SELECT part.*, asked.hearing FROM internal.emotions AS part JOIN asked_{side} AS asked
                ON asked.recording_id = part.recording_id AND asked.heard_key = part.heard_key
                WHERE part.scorer = ${scorer} AND part.commit_id = coalesce(asked.emotions_commit, part.commit_id)
                    AND part.skip_reason IS DISTINCT FROM 'policy' {left_out}
            ){chosen}
        )"""
        for side, scorer in (("ours", "first"), ("theirs", "second"))
    )
    numbered = "SELECT *, (row_number() OVER (ORDER BY recording_id, heard_key))::INTEGER AS hearing"
    once = f"WITH once AS MATERIALIZED ({numbered} FROM ({counted_once(places)}))"
    named = "" if fitting is None else f", chosen AS MATERIALIZED ({_numbered('utterance_idx', fitting)})"
    if withheld is not None:
        of_hearing = _numbered("list(utterance_idx) AS withheld", withheld)
        named += f", withheld AS MATERIALIZED ({of_hearing} GROUP BY hearing)"
    return f"{once}{named}, {sides}"


def _numbered(columns: str, query: str) -> str:
    return f"SELECT hearing, {columns} FROM ({query}) JOIN once USING (corpus, recording_id)"


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
    """None where the model gave no label: it was not sure enough, or the utterance too short."""
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
    asked = {"first": first, "second": second, "corpus": corpus, "limit": limit}
    return comparison_of(first, second, reader.sql(statement(), asked).to_pylist())


def comparison_of(first: str, second: str, cells: Sequence[Row]) -> Comparison:
    """What the answer to `statement` says."""
    shifts = {name: shift for name in DIMENSIONS if (shift := _shift(cells, name)) is not None}
    distance = _shift(cells, "distance")
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
        shifts=shifts,
        mean_distance=None if distance is None else distance.mean,
        disagreements=_disagreements(cells),
    )


def _disagreements(cells: Sequence[Row]) -> tuple[Disagreement, ...]:
    found = [
        Disagreement(first_label=row["first_label"], second_label=row["second_label"], **one)
        for row in cells
        for one in row["furthest"]
    ]
    return tuple(sorted(found, key=lambda one: (-one.distance, one.recording_id, one.utterance_idx)))


def _shift(cells: Sequence[Row], name: str) -> Shift | None:
    """Over all cells; None where no utterance has it of both models."""
    number = sum(row[f"num_{name}"] for row in cells)
    return Shift(math.fsum(row[f"{name}_sum"] for row in cells) / number, number) if number else None


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
