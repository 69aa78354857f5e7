"""Whether a model's answers have drifted between two runs of a lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mmer_ray.errors import UsageError
from mmer_ray.training.evaluation.drift import Drift, drift_of_labels, drift_of_numbers

if TYPE_CHECKING:
    from mmer_ray.lake.queries import LakeReader

NUMBERS = ("confidence", "valence", "arousal", "dominance")
ANSWERS = """
    SELECT DISTINCT ON (recording_id, heard_key, utterance_idx, scorer) scorer, label, confidence, valence, arousal,
        dominance
    FROM emotions JOIN (SELECT commit_id, run_id FROM commits) USING (commit_id)
    WHERE run_id = $run AND ($corpus IS NULL OR corpus = $corpus)
    ORDER BY recording_id, heard_key, utterance_idx, scorer, corpus
"""
RUNS = """
    SELECT DISTINCT run_id FROM emotions JOIN (SELECT commit_id, run_id FROM commits) USING (commit_id) ORDER BY run_id
"""


def drift_between(
    reader: LakeReader, before: str, after: str, scorer: str | None = None, corpus: str | None = None
) -> list[Drift]:
    """Compare the labels, confidences and dimensions that one model gave in two runs.

    Raises `UsageError` for a run without visible answers, and where several models answered and none is named.
    """
    answers = [reader.rows(ANSWERS, {"run": run, "corpus": corpus}) for run in (before, after)]
    for run, rows in zip((before, after), answers, strict=True):
        if not rows:
            known = ", ".join(row["run_id"] for row in reader.rows(RUNS, {})) or "none"
            raise UsageError(f"run {run!r} has no visible answers in {reader.address}; these have: {known}")
    shared = sorted(set.intersection(*({row["scorer"] for row in rows} for rows in answers)))
    if scorer is None and len(shared) != 1:
        raise UsageError(f"{len(shared)} emotion models answered in both runs: name one of {', '.join(shared) or '-'}")
    if scorer is not None and scorer not in shared:
        raise UsageError(f"{scorer!r} did not answer in both runs; these did: {', '.join(shared) or 'none'}")
    first, second = ([row for row in rows if row["scorer"] == (scorer or shared[0])] for rows in answers)
    found = [drift_of_labels("label", *([row["label"] or "none" for row in rows] for rows in (first, second)))]
    for name in NUMBERS:
        columns = [np.array([row[name] for row in rows], np.float64) for rows in (first, second)]
        if all(np.isfinite(column).any() for column in columns):
            found.append(drift_of_numbers(name, *columns))
    return found
