"""The ledger: every second of a job is accounted for, or the job says so loudly.

planned = scored + quarantined + erased (+ unreached, in an interrupted run)      scored = speech + non-speech

Of a job the sides are counted apart: what is planned from the listing (`Plan.check`), what is scored, failed, a copy
or unreached from the answers as they arrive at the driver (`Received`), and all of it again by SQL from the rows that
the lake holds in the end (`run_ledger`). An interrupted run must sum as well; it may leave recordings unreached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from mmer_ray.errors import LedgerError
from mmer_ray.lake.card import erased_hash
from mmer_ray.lake.columns import values
from mmer_ray.lake.plan import Plan

TOLERANCE_S = 0.1
REMEDY = "run the same command again and report this"

SUMS = """
    SELECT
        count(*) FILTER (status IS NOT NULL),
        count(*) FILTER (status = 'scored'),
        count(*) FILTER (status = 'scored' AND is_copy),
        count(*) FILTER (status = 'failed'),
        count(*) FILTER (status IS NULL),
        coalesce(sum(duration_ms) FILTER (status = 'scored'), 0)::BIGINT,
        coalesce(sum(expected_ms) FILTER (status = 'failed'), 0)::BIGINT,
        coalesce(sum(expected_ms) FILTER (status IS NULL), 0)::BIGINT,
        coalesce(sum(speech_ms) FILTER (status = 'scored'), 0)::BIGINT,
        coalesce(sum(non_speech_ms) FILTER (status = 'scored'), 0)::BIGINT,
        count(*) FILTER (status = 'erased'),
        coalesce(sum(expected_ms) FILTER (status = 'erased'), 0)::BIGINT
"""

OF_A_RUN = """
    FROM (
        WITH answered AS (
            SELECT corpus, uri, status, is_copy, expected_ms, recording_id, heard_key
            FROM internal.recordings WHERE run_id = $run_id
        ), measured AS (
            SELECT planned.corpus, planned.uri, 'scored' AS status, false AS is_copy, planned.expected_ms,
                planned.recording_id, planned.heard_key
            FROM planned
            ANTI JOIN answered USING (corpus, uri)
            SEMI JOIN (FROM internal.calls WHERE run_id = $run_id AND scorer = $scorer) AS felt
            ON felt.recording_id = planned.recording_id AND felt.heard_key = planned.heard_key
            WHERE NOT needs_row
        ), dropped AS (
            SELECT corpus, uri, 'erased' AS status, false AS is_copy, expected_ms, recording_id, heard_key
            FROM planned ANTI JOIN answered USING (corpus, uri) WHERE is_erased
        ), found AS (FROM answered UNION ALL FROM measured UNION ALL FROM dropped)
        SELECT found.status, found.is_copy, coalesce(found.expected_ms, planned.expected_ms) AS expected_ms,
            results.duration_ms, results.speech_ms, results.non_speech_ms
        FROM planned
        FULL JOIN found ON planned.corpus = found.corpus AND planned.uri = found.uri
        LEFT JOIN (FROM internal.results SEMI JOIN internal.heard USING (recording_id, heard_key, commit_id)) AS results
        ON results.recording_id = found.recording_id AND results.heard_key = found.heard_key
    )
"""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Counts of recordings and sums of milliseconds."""

    num_planned: int = 0
    num_received: int = 0
    """Answers that came to the driver, copies with those of the file that stands for them."""
    num_scored: int = 0
    num_copies: int = 0
    """Those among the scored whose bytes were known: the models did not run."""
    num_failed: int = 0
    num_unreached: int = 0
    num_erased: int = 0
    """Answers about audio that was erased, which only its bytes could tell: nothing of them is kept."""
    num_kept: int = 0
    """Those among the unreached that a rescore asked for in vain: the answer failed, and the earlier one stays."""
    planned_ms: int = 0
    """A recording's length as it arrived with its answer, else as the plan expected it, or nothing."""
    scored_ms: int = 0
    quarantined_ms: int = 0
    """What the failed recordings were expected to last."""
    erased_ms: int = 0
    """What these were expected to last."""
    unreached_ms: int = 0
    speech_ms: int = 0
    non_speech_ms: int = 0

    @property
    def difference_s(self) -> float:
        """The larger of the two equations' gaps; unreached audio is a gap, unless its earlier answer stays."""
        kept_ms = self.unreached_ms if self.num_kept else 0
        unplaced_ms = abs(self.planned_ms - self.scored_ms - self.quarantined_ms - self.erased_ms - kept_ms)
        unheard_ms = abs(self.scored_ms - self.speech_ms - self.non_speech_ms)
        return max(unplaced_ms, unheard_ms) / 1000

    def check(self, *, is_finished: bool = True) -> None:
        """Raise `LedgerError` unless plan, driver and lake count the same recordings and both equations hold.

        A run that is not finished may leave recordings unreached, and their audio with them.
        """
        num_rows = self.num_scored + self.num_failed + self.num_erased
        num_open = 0 if is_finished else self.num_unreached - self.num_kept
        open_ms = 0 if is_finished or self.num_kept else self.unreached_ms
        reached = replace(self, num_planned=self.num_planned - num_open, planned_ms=self.planned_ms - open_ms)
        is_each_placed = reached.num_planned == self.num_received == num_rows + self.num_kept
        if is_each_placed and reached.difference_s <= TOLERANCE_S:
            return
        raise LedgerError(
            f"the ledger does not sum: {self.num_planned} recordings planned, {self.num_received} answers received, "
            f"{num_rows} rows in the lake, {self.num_unreached} recordings without an answer; "
            f"planned {self.planned_ms / 1000:.3f} s = scored {self.scored_ms / 1000:.3f} s + "
            f"quarantined {self.quarantined_ms / 1000:.3f} s + erased {self.erased_ms / 1000:.3f} s, "
            f"scored = speech {self.speech_ms / 1000:.3f} s + non-speech {self.non_speech_ms / 1000:.3f} s; {REMEDY}"
        )


class Received:
    """What the driver counts as answers arrive, beside the rows that are written."""

    def __init__(self, plan: Plan) -> None:
        self.num_planned = plan.num_planned
        self.num_answers = 0
        self.num_scored = 0
        self.num_copies = 0
        self.num_failed = 0
        self.num_erased = 0
        self.num_kept = 0
        self.planned_ms = sum(_sum(part.column("expected_ms")) for part in (plan.todo, plan.copies))

    def add(self, summary: pa.Table, expected_ms: pa.ChunkedArray[Any]) -> None:
        """Count the answers of some recordings, schema `answers.SUMMARY`, and what the plan expected them to last."""
        self.num_answers += int(summary.num_rows)
        both = pa.table([summary.column(name) for name in ("status", "duration_ms")] + [expected_ms], list("sde"))
        scored = both.filter(pc.field("s") == "scored")
        self.num_scored += int(scored.num_rows)
        self.num_failed += int(summary.num_rows - scored.num_rows)
        self.planned_ms += _sum(scored.column("d")) - _sum(scored.column("e"))

    def drop(self, summary: pa.Table, expected_ms: pa.ChunkedArray[Any]) -> None:
        """Count these answers, taken before, as what the plan expected of them: nothing of them is kept."""
        is_scored = pc.equal(summary.column("status"), pa.scalar("scored"))
        num_scored = summary.filter(is_scored).num_rows
        self.num_scored -= num_scored
        self.num_failed -= int(summary.num_rows) - num_scored
        self.num_erased += int(summary.num_rows)
        self.planned_ms += _sum(expected_ms.filter(is_scored)) - _sum(summary.column("duration_ms").filter(is_scored))

    def keep(self, num_recordings: int, num_copies: int) -> None:
        """Take note of answers that are not written since the earlier ones stay, counted by `add` already, and of the
        copies that waited for them, which come with them."""
        self.num_answers += num_copies
        self.num_failed -= num_recordings
        self.num_kept += num_recordings + num_copies

    def add_copies(self, num_copies: int) -> None:
        """Count copies of known audio, whose length the plan knows."""
        self.num_answers += num_copies
        self.num_scored += num_copies
        self.num_copies += num_copies

    def add_recognized(self, num_copies: int) -> None:
        """Note how many of the answers counted before turned out to be of audio that was known."""
        self.num_copies += num_copies

    def add_followers(self, followers: pa.Table, summary: pa.Table, planned: Sequence[str | None]) -> None:
        """Count the rows of copies that came with the answers of `summary`; `planned` has those files' ids."""
        self.num_answers += int(followers.num_rows)
        scored = followers.filter(pc.field("status") == "scored")
        self.num_scored += int(scored.num_rows)
        self.num_copies += int(scored.num_rows)
        self.num_failed += int(followers.num_rows - scored.num_rows)
        at = pc.index_in(scored.column("recording_id"), value_set=pa.array(planned, pa.string()))
        self.planned_ms += _sum(summary.column("duration_ms").take(at)) - _sum(scored.column("expected_ms"))

    def check(self, ledger: Ledger, *, is_finished: bool) -> None:
        """Raise `LedgerError` unless the rows (`run_ledger`) are what came, kind by kind, and the ledger sums."""
        ledger.check(is_finished=is_finished)
        for kind, num_came, num_rows in (
            ("scored", self.num_scored, ledger.num_scored),
            ("copies", self.num_copies, ledger.num_copies),
            ("failed", self.num_failed, ledger.num_failed),
            ("erased", self.num_erased, ledger.num_erased),
            ("without a row", self.num_planned - self.num_answers + self.num_kept, ledger.num_unreached),
        ):
            if num_came != num_rows:
                raise LedgerError(
                    f"the ledger does not sum: by the answers {num_came} recordings are {kind}, by the lake's rows "
                    f"{num_rows}; {REMEDY}"
                )


def lake_ledger(connection: duckdb.DuckDBPyConnection) -> Ledger:
    """The ledger of the newest rows of all recordings; they are planned because they are there."""
    ledger = _ledger(connection.execute(f"{SUMS} FROM recordings"))
    planned_ms = ledger.scored_ms + ledger.quarantined_ms
    return replace(ledger, num_planned=ledger.num_received, planned_ms=planned_ms)


def run_ledger(
    connection: duckdb.DuckDBPyConnection, run_id: str, plan: Plan, received: Received, key: bytes
) -> Ledger:
    """The ledger of one job: what was planned and received against the rows that the lake holds now.

    `connection` is one of `views.connect_internal`, `key` the lake's. A row that nobody planned unbalances it.
    """
    names = ["corpus", "uri", "recording_id", "expected_ms"]
    copies = plan.copies.select(names).append_column("needs_row", pa.array([True] * plan.num_copies, pa.bool_()))
    copies = copies.append_column("heard_key", pa.repeat(pa.scalar(plan.keys.heard), plan.num_copies))
    planned = pa.concat_tables([plan.todo.select([*names, "needs_row", "heard_key"]), copies])
    connection.register("planned", planned.append_column("is_erased", _is_erased(connection, run_id, planned, key)))
    parameters = {"run_id": run_id, "scorer": plan.keys.scorer}
    ledger = _ledger(connection.execute(SUMS + OF_A_RUN, parameters))
    connection.unregister("planned")
    return replace(
        ledger,
        num_planned=received.num_planned,
        num_received=received.num_answers,
        num_kept=received.num_kept,
        planned_ms=received.planned_ms,
    )


def _is_erased(connection: duckdb.DuckDBPyConnection, run_id: str, planned: pa.Table, key: bytes) -> pa.Array[Any]:
    """Which of these files the run has put down in `erasures`."""
    query = "SELECT DISTINCT uri_hash FROM internal.erasures WHERE run_id = ? AND scope <> 'readmitted'"
    hashes = {one for (one,) in connection.execute(query, [run_id]).fetchall()}
    if not hashes:
        return pa.repeat(pa.scalar(False), planned.num_rows)
    return pa.array([erased_hash(uri, key) in hashes for uri in values(planned, "uri")], pa.bool_())


def _ledger(answer: duckdb.DuckDBPyConnection) -> Ledger:
    # fetchall, since DuckDB 2.0 keeps a connection busy until the last row is fetched.
    ((num_rows, num_scored, num_copies, num_failed, num_unreached, *sums),) = answer.fetchall()
    scored_ms, quarantined_ms, unreached_ms, speech_ms, non_speech_ms, num_erased, erased_ms = sums
    return Ledger(
        num_received=num_rows,
        num_scored=num_scored,
        num_copies=num_copies,
        num_failed=num_failed,
        num_unreached=num_unreached,
        num_erased=num_erased,
        scored_ms=scored_ms,
        quarantined_ms=quarantined_ms,
        erased_ms=erased_ms,
        unreached_ms=unreached_ms,
        speech_ms=speech_ms,
        non_speech_ms=non_speech_ms,
    )


def _sum(column: pa.ChunkedArray[Any]) -> int:
    return int(pc.sum(column).as_py() or 0)
