"""The ledger: every second of a job is accounted for, or the job says so loudly.

planned = scored + quarantined (+ unreached, in an interrupted run)      scored = speech + non-speech
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from mmer_ray.errors import LedgerError
from mmer_ray.lake.rows import milliseconds, source_key
from mmer_ray.records import Recording
from mmer_ray.tables import SCHEMAS

TOLERANCE_S = 0.1

PLANNED = pa.schema([SCHEMAS["recordings"].field(name) for name in ("corpus", "uri", "expected_ms")])

SUMS = """
    SELECT
        count(*),
        count(*) FILTER (status = 'scored'),
        count(*) FILTER (status = 'scored' AND is_copy),
        count(*) FILTER (status = 'failed'),
        count(*) FILTER (status IS NULL),
        coalesce(sum(CASE WHEN status = 'scored' THEN duration_ms ELSE expected_ms END), 0)::BIGINT,
        coalesce(sum(duration_ms) FILTER (status = 'scored'), 0)::BIGINT,
        coalesce(sum(expected_ms) FILTER (status = 'failed'), 0)::BIGINT,
        coalesce(sum(expected_ms) FILTER (status IS NULL), 0)::BIGINT,
        coalesce(sum(speech_ms), 0)::BIGINT,
        coalesce(sum(non_speech_ms), 0)::BIGINT
"""

OF_A_RUN = """
    FROM (
        SELECT status, is_copy, duration_ms, speech_ms, non_speech_ms,
               CASE WHEN status IS NULL THEN planned.expected_ms ELSE answer.expected_ms END AS expected_ms
        FROM planned
        FULL JOIN (SELECT * FROM _all_recordings SEMI JOIN commits USING (commit_id) WHERE run_id = $run_id) AS answer
        ON planned.corpus = answer.corpus AND planned.uri = answer.uri
    )
"""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Counts of recordings and sums of milliseconds. A planned recording's length is its decoded duration once
    scored, else what its header claimed, or nothing."""

    num_planned: int = 0
    num_scored: int = 0
    num_copied: int = 0
    """Those among the scored whose bytes were known: the models did not run."""
    num_failed: int = 0
    num_unreached: int = 0
    planned_ms: int = 0
    scored_ms: int = 0
    quarantined_ms: int = 0
    unreached_ms: int = 0
    speech_ms: int = 0
    non_speech_ms: int = 0

    @property
    def difference_s(self) -> float:
        """The larger of the two equations' gaps; unreached audio is a gap."""
        unplaced_ms = abs(self.planned_ms - self.scored_ms - self.quarantined_ms)
        unheard_ms = abs(self.scored_ms - self.speech_ms - self.non_speech_ms)
        return max(unplaced_ms, unheard_ms) / 1000

    def check(self) -> None:
        """Raise `LedgerError` unless both equations hold and every planned recording has its row."""
        if self.num_unreached == 0 and self.difference_s <= TOLERANCE_S:
            return
        raise LedgerError(
            f"the ledger does not sum: planned {self.planned_ms / 1000:.3f} s in {self.num_planned} recordings = "
            f"scored {self.scored_ms / 1000:.3f} s + quarantined {self.quarantined_ms / 1000:.3f} s, "
            f"speech {self.speech_ms / 1000:.3f} s + non-speech {self.non_speech_ms / 1000:.3f} s, "
            f"{self.num_unreached} recordings without an answer; run the same command again and report this"
        )


def lake_ledger(connection: duckdb.DuckDBPyConnection) -> Ledger:
    """The ledger of the newest rows of all recordings."""
    return _ledger(connection.execute(f"{SUMS} FROM recordings"))


def run_ledger(connection: duckdb.DuckDBPyConnection, run_id: str, planned: Sequence[Recording]) -> Ledger:
    """The ledger of one job, from the rows that the lake holds now. A row that nobody planned unbalances it."""
    connection.register("planned", _planned_table(planned))
    ledger = _ledger(connection.execute(SUMS + OF_A_RUN, {"run_id": run_id}))
    connection.unregister("planned")
    if ledger.num_planned > len(planned):
        raise LedgerError(f"run {run_id} has {ledger.num_planned - len(planned)} recordings that it did not plan")
    return ledger


def _planned_table(planned: Sequence[Recording]) -> pa.Table:
    rows = [
        {"corpus": corpus, "uri": uri, "expected_ms": None if seconds is None else milliseconds(seconds)}
        for (corpus, uri), seconds in ((source_key(one), one.expected_s) for one in planned)
    ]
    return pa.Table.from_pylist(rows, schema=PLANNED)


def _ledger(answer: duckdb.DuckDBPyConnection) -> Ledger:
    # fetchall, since DuckDB 2.0 keeps a connection busy until the last row is fetched.
    (sums,) = answer.fetchall()
    return Ledger(*sums)
