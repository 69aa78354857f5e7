"""Whether a model's answers have drifted between the runs of a lake."""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mmer_ray.errors import UsageError
from mmer_ray.lake.comparison import OF_CORPUS, counted_once
from mmer_ray.training.evaluation.drift import Drift, drift_of_counts, drift_of_numbers

if TYPE_CHECKING:
    from mmer_ray.lake.queries import LakeReader

NUMBERS = ("confidence", "valence", "arousal", "dominance")
LABEL, NO_LABEL = "label", "none"
SCORERS = f"""
    SELECT DISTINCT run_id, scorer FROM emotions JOIN (SELECT commit_id, run_id FROM commits) USING (commit_id)
    WHERE list_contains($runs, run_id) AND ({OF_CORPUS})
"""
RUNS = """
    SELECT DISTINCT run_id FROM emotions JOIN (SELECT commit_id, run_id FROM commits) USING (commit_id) ORDER BY run_id
"""


def runs_with_answers(places: str = OF_CORPUS) -> str:
    """The statement that gives `run_id` of the newest `$limit` runs whose answers of `$scorer` count, newest first,
    where a condition of our own making on `corpus` and `day` fits. It reads what is kept for each hearing: the answers
    themselves are many."""
    return f"""
        SELECT run_id FROM internal.felt AS felt SEMI JOIN ({counted_once(places)}) USING (recording_id, heard_key)
        JOIN commits ON commits.commit_id = felt.emotions_commit
        WHERE felt.scorer = $scorer AND commits.num_emotions > 0
        GROUP BY run_id ORDER BY max(commits.sequence) DESC LIMIT $limit
    """


def answers_by_run(places: str = OF_CORPUS) -> str:
    """The statement that counts what `$scorer` answered in each of `$runs`, where a condition of our own making on
    `corpus` and `day` fits: `run_id`, `quantity`, `name` (of a label), `value` (of a number), `num`, sorted by the
    first two. Audio that several corpora have counts once; what a policy forbade to ask about is no answer."""
    which = " ".join(f"WHEN grouping({name}) = 0 THEN '{name}'" for name in (LABEL, *NUMBERS))
    sets = ", ".join(f"(run_id, {name})" for name in (LABEL, *NUMBERS))
    return f"""
    WITH once AS MATERIALIZED ({counted_once(places)}), counted AS (
        SELECT run_id, CASE {which} END AS quantity, label AS name, coalesce({", ".join(NUMBERS)}) AS value,
            count(*) AS num
        FROM emotions SEMI JOIN once USING (recording_id, heard_key, corpus)
        JOIN (SELECT commit_id, run_id FROM commits WHERE list_contains($runs, run_id)) USING (commit_id)
        WHERE scorer = $scorer AND skip_reason IS DISTINCT FROM 'policy' GROUP BY GROUPING SETS ({sets})
    )
    SELECT run_id, quantity, CASE WHEN quantity = '{LABEL}' THEN coalesce(name, '{NO_LABEL}') END AS name, value, num
    FROM counted WHERE quantity = '{LABEL}' OR value IS NOT NULL ORDER BY run_id, quantity, name, value
    """


@dataclass
class Answers:
    """What a model answered in one run."""

    labels: dict[str, int] = field(default_factory=dict)
    """Label, or `NO_LABEL` -> utterances."""
    numbers: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """Of `NUMBERS` -> all values, shape (num_utterances that have one,); without any it is missing."""


def answers_of(rows: pa.Table) -> dict[str, Answers]:
    """Run -> what was answered in it, of the rows of `answers_by_run`; a run without any is missing.

    There is a row for each value of each number of each run: they are taken column by column.
    """
    found: dict[str, Answers] = {}
    values, counts = (rows.column(name).to_numpy() for name in ("value", "num"))
    for first, end in pairwise(_bounds(rows)):
        run_id, quantity = (rows.column(name)[first].as_py() for name in ("run_id", "quantity"))
        answers = found.setdefault(run_id, Answers())
        if quantity == LABEL:
            labels = rows.slice(first, end - first).to_pylist()
            answers.labels |= {row["name"]: row["num"] for row in labels}
        else:
            answers.numbers[quantity] = np.repeat(values[first:end].astype(np.float64), counts[first:end])
    return found


def _bounds(rows: pa.Table) -> list[int]:
    """The rows at which another quantity or run begins, and the number of rows."""
    begins = np.zeros(rows.num_rows, bool)
    begins[:1] = True
    for name in ("run_id", "quantity"):
        codes = rows.column(name).combine_chunks().dictionary_encode().indices.to_numpy()
        begins[1:] |= codes[1:] != codes[:-1]
    return [*np.flatnonzero(begins).tolist(), rows.num_rows]


def drift_of(before: Answers, after: Answers) -> list[Drift]:
    """How the labels have moved, and each number that both have."""
    found = [drift_of_counts(LABEL, before.labels, after.labels)]
    shared = [name for name in NUMBERS if name in before.numbers and name in after.numbers]
    return found + [drift_of_numbers(name, before.numbers[name], after.numbers[name]) for name in shared]


def drift_between(
    reader: LakeReader, before: str, after: str, scorer: str | None = None, corpus: str | None = None
) -> list[Drift]:
    """Compare the labels, confidences and dimensions that one model gave in two runs.

    Raises `UsageError` for a run without visible answers, and where several models answered and none is named.
    """
    asked = {"runs": [before, after], "corpus": corpus}
    answered: dict[str, set[str]] = {before: set(), after: set()}
    for row in reader.rows(SCORERS, asked):
        answered[row["run_id"]].add(row["scorer"])
    chosen = _scorer(reader, answered, (before, after), scorer)
    found = answers_of(reader.table(answers_by_run(), {**asked, "scorer": chosen}))
    return drift_of(found[before], found[after])


def _scorer(reader: LakeReader, answered: Mapping[str, set[str]], runs: Sequence[str], scorer: str | None) -> str:
    """Whose answers are compared."""
    for run in runs:
        if not answered[run]:
            known = ", ".join(row["run_id"] for row in reader.rows(RUNS, {})) or "none"
            raise UsageError(f"run {run!r} has no visible answers in {reader.address}; these have: {known}")
    shared = sorted(set.intersection(*(answered[run] for run in runs)))
    if not shared:
        each = "; ".join(f"in {run}: {', '.join(sorted(answered[run]))}" for run in runs)
        raise UsageError(f"no emotion model answered in both runs ({each}); `mmer lake compare` compares two models")
    if scorer is None and len(shared) != 1:
        raise UsageError(f"{len(shared)} emotion models answered in both runs: name one of {', '.join(shared)}")
    if scorer is not None and scorer not in shared:
        raise UsageError(f"{scorer!r} did not answer in both runs; these did: {', '.join(shared)}")
    return scorer or shared[0]
