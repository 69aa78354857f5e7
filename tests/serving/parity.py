"""Rows of the endpoint beside the rows that a lake holds of the same files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from mmer_ray.lake.answer_tables import ANSWER_SCHEMAS
from mmer_ray.lake.queries import open_lake
from mmer_ray.profiles import Profile
from mmer_ray.records import ScoredRecording
from mmer_ray.runner import Runner
from mmer_ray.runners import job
from mmer_ray.runners.job import JobOptions
from mmer_ray.serving.rows import RECORDING_COLUMNS, TABLES, plain_rows, rows_of
from mmer_ray.stages.keys import Keys

Rows = dict[str, list[dict[str, Any]]]
ORDER = {
    "utterances": "utterance_idx",
    "words": "utterance_idx, word_idx",
    "turns": "turn_idx",
    "emotions": "utterance_idx",
}
SCORE_STEP = 1e-3
"""The lake rounds scores to this. Two batches of different company may round a score to neighbours."""


def job_rows(profile: Profile, files: Sequence[Path], lake: Path) -> dict[str, Rows]:
    """Score files by a batch job in this process and read its lake back: file name -> table -> rows."""
    run = profile.run.model_copy(update={"runner": Runner.INPROCESS})
    job.run(JobOptions(tuple(map(str, files)), str(lake), profile.model_copy(update={"run": run})))
    return lake_rows(lake)


def lake_rows(lake: Path) -> dict[str, Rows]:
    """File name -> table -> rows, in the columns of the endpoint; no digest, which the lake keeps under its key."""
    columns = {
        table: [name for name in ANSWER_SCHEMAS[table].names if name != "answer"]
        for table in TABLES
        if table != "recordings"
    }
    found: dict[str, Rows] = {}
    with open_lake(lake) as reader:
        recordings = reader.sql("SELECT * FROM recordings")
        by_id = {
            name: _by_recording(reader.sql(f"SELECT recording_id, {', '.join(some)} FROM {name}{_ordered(name)}"))
            for name, some in columns.items()
        }
    rows = plain_rows(recordings.select(RECORDING_COLUMNS))
    uris, digests = (recordings.column(name).to_pylist() for name in ("uri", "recording_id"))
    for uri, digest, row in zip(uris, digests, rows, strict=True):
        found[Path(uri).name] = {"recordings": [row], **{name: some.get(digest, []) for name, some in by_id.items()}}
    return found


def _ordered(table: str) -> str:
    return f" ORDER BY {ORDER[table]}" if table in ORDER else ""


def _by_recording(table: pa.Table) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in plain_rows(table):
        found[row.pop("recording_id")].append(row)
    return found


def endpoint_rows(scored: ScoredRecording, keys: Keys) -> Rows:
    """The endpoint's rows, but for the digest."""
    rows = rows_of(scored, keys)
    return {**rows, "recordings": [{name: row[name] for name in RECORDING_COLUMNS} for row in rows["recordings"]]}


def differences(ours: Rows, theirs: Rows) -> list[str]:
    """What differs, in words; scores by no more than a step are equal."""
    found: list[str] = []
    for table in TABLES:
        mine, other = ours[table], theirs[table]
        if len(mine) != len(other):
            found.append(f"{table}: {len(mine)} rows against {len(other)}")
            continue
        for position, (left, right) in enumerate(zip(mine, other, strict=True)):
            found += [
                f"{table}[{position}].{name}: {left.get(name)!r} against {right.get(name)!r}"
                for name in left.keys() | right.keys()
                if not _same(left.get(name), right.get(name))
            ]
    return found


def unequal_scores(ours: Rows, theirs: Rows) -> tuple[int, int]:
    """Scores that differ at all, and scores."""
    pairs = [
        (left[name], right[name])
        for table in TABLES
        for left, right in zip(ours[table], theirs[table], strict=True)
        for name in left
        if isinstance(left[name], float)
    ]
    return sum(left != right for left, right in pairs), len(pairs)


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return abs(left - right) <= SCORE_STEP * 1.001
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[name], right[name]) for name in left)
    return bool(left == right)
