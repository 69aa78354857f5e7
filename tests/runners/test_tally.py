"""How far a job is, as the caller is told."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from mmer_ray.lake.answer_tables import SUMMARY
from mmer_ray.records import Recording
from mmer_ray.runners.tally import Progress, Tally

HOUR = Recording("/calls/hour.wav", "calls", expected_s=3_600.0)


def answered(**changes: Any) -> pa.Table:
    row = {"corpus": "calls", "uri": "/calls/hour.wav", "status": "scored", "duration_ms": 3_500_000, **changes}
    return pa.Table.from_pylist([row | {"expected_ms": 3_600_000, "size_bytes": 1}], schema=SUMMARY)


def tally(told: list[Progress]) -> Tally:
    todo = pa.table({"expected_ms": pa.array([3_600_000, None], pa.int32()), "size_bytes": pa.array([1, 320_000])})
    return Tally(todo, told.append, begun=0.0)


def test_a_long_recording_moves_on_with_its_windows() -> None:
    told: list[Progress] = []
    counts = tally(told)
    for end_s in (600.0, 1_800.0, 1_200.0):
        counts.hear(HOUR, end_s)
    assert [progress.done_s for progress in told] == [0.0, 600.0, 1_800.0, 1_800.0]
    assert told[-1].total_s == 3_610.0
    assert told[-1].num_done == 0


def test_a_finished_recording_counts_once() -> None:
    told: list[Progress] = []
    counts = tally(told)
    counts.hear(HOUR, 3_600.0)
    counts.add(answered())
    assert (told[-1].done_s, told[-1].num_done) == (3_600.0, 1)
    assert counts.computed_s == 3_500.0


def test_a_failure_is_told_with_its_code() -> None:
    told: list[Progress] = []
    tally(told).add(answered(status="failed", error_code="no_samples", message="nothing in it", duration_ms=None))
    assert [progress.message for progress in told if progress.message] == ["/calls/hour.wav: no_samples: nothing in it"]
    assert told[-1].num_failed == 1
