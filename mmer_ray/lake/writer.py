"""The one writer: buffers scored recordings and commits them so that each appears exactly once, whole or not at all.

A commit appends its rows to every table and, last, one row to `commits`. A crash in between leaves rows whose
commit_id is not listed there: they do not exist to a reader, and the next run makes them again.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal

import pyarrow as pa

from mmer_ray.errors import LakeError, LedgerError
from mmer_ray.lake.failpoint import failpoint
from mmer_ray.lake.ledger import Ledger, run_ledger
from mmer_ray.lake.plan import Copy, Plan
from mmer_ray.lake.results import known_results, known_rows
from mmer_ray.lake.rows import Stamp, arrow_table, copied_row, recording_row, rows_of, source_key
from mmer_ray.lake.run import Run
from mmer_ray.lake.store import Lake
from mmer_ray.lake.views import connect
from mmer_ray.profiles import RunOptions
from mmer_ray.records import ScoredRecording
from mmer_ray.tables import DATA_TABLES, Row, Rows

RunStatus = Literal["started", "finished", "interrupted", "unbalanced"]


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one commit, fixed: however often it is tried, the same rows are appended."""

    sequence: int
    commit_id: str
    tables: dict[str, pa.Table]
    scorer: str | None


class Writer:
    """A context manager around one run: holds the lake's lock, writes the run's start and its end.

        with Writer(lake, run, plan) as writer:
            for scored in answers:
                writer.add(scored)
                if writer.due():
                    writer.commit()

    Leaving it commits what is left and closes the run: `finished`, or `interrupted` when an exception passes. A
    plan with nothing to do writes nothing.
    """

    def __init__(
        self,
        lake: Lake,
        run: Run,
        plan: Plan,
        options: RunOptions | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lake, self._run, self._plan, self._clock = lake, run, plan, clock
        self._options = options or RunOptions()
        self._stack = ExitStack()
        self._started_s = self._committed_s = clock()
        self._sequence = 0
        self._num_commits = 0
        self._buffer: Rows = _empty()
        self._pending: Batch | None = None
        self._planned = {source_key(recording) for recording in plan.planned}
        self._added: set[tuple[str, str]] = set()
        self._results: dict[str, str] = {}
        self._copies: defaultdict[tuple[str, str], list[Copy]] = defaultdict(list)
        self._stage_s: Counter[str] = Counter()
        self._num_utterances = 0
        self._ledger: Ledger | None = None

    def __enter__(self) -> Writer:
        if self._is_idle:
            return self
        with ExitStack() as stack:
            stack.enter_context(self._lake.lock())
            self._lake.create()
            self._sequence = self._lake.next_sequence()
            self._find_known_audio()
            self._append_run("started", None)
            failpoint("after_run_start")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if self._ledger is None:
                self._close("finished" if kind is None else "interrupted")

    def add(self, scored: ScoredRecording) -> bool:
        """Take one recording's answer, and those of the copies that waited for it.

        Returns False for a recording that this run has an answer for: the first one counts.
        """
        source = source_key(scored.recording)
        if source in self._added:
            return False
        assert source in self._planned, f"{source} is not in the plan"
        self._added.add(source)
        self._stage_s.update(scored.stage_seconds)
        recording_id = scored.audio.recording_id if scored.audio else ""
        if scored.status == "scored" and recording_id in self._results:
            row = recording_row(scored, self._stamp, self._lake.key)
            self._buffer["recordings"].append(row | _copy_of(self._results[recording_id]))
        else:
            self._take(rows_of(scored, self._stamp, self._lake.key))
            if scored.status == "scored":
                self._results[recording_id] = self._stamp.commit_id
        for copy in self._copies.pop(source, ()):
            self._add_copy(copy, scored)
        return True

    def due(self) -> bool:
        """Whether enough rows or enough time have gathered for a commit."""
        if self._pending is None and not self._buffer["recordings"]:
            return False
        waited_s = self._clock() - self._committed_s
        many = len(self._buffer["utterances"]) >= self._options.commit_every_utterances
        return many or waited_s >= self._options.commit_every_s

    def commit(self) -> str | None:
        """Make what was added visible; returns the commit_id, or None when there was nothing.

        After an error it may be called again: a table that has the rows is passed over.
        """
        if self._pending is None and self._buffer["recordings"]:
            self._pending = self._seal()
        if self._pending is None:
            return None
        batch = self._pending
        for name in DATA_TABLES:
            failpoint(f"before_append_{name}")
            if batch.tables[name].num_rows:
                self._lake.append(name, batch.tables[name], batch.sequence)
            failpoint(f"after_append_{name}")
        failpoint("before_append_commits")
        self._lake.append("commits", _commit_table(batch, self._run.run_id), batch.sequence)
        failpoint("after_append_commits")
        self._pending = None
        self._committed_s = self._clock()
        return batch.commit_id

    def finish(self) -> Ledger:
        """Commit the rest and close the run. Raises `LedgerError` when its ledger does not sum."""
        return self._close("finished")

    def interrupt(self) -> Ledger:
        """Commit what is there and close the run as interrupted; the same command goes on from here."""
        return self._close("interrupted")

    @property
    def _is_idle(self) -> bool:
        return not self._plan.todo and not self._plan.copies

    @property
    def _stamp(self) -> Stamp:
        return Stamp(self._run.run_id, f"{self._run.run_id}.{self._num_commits + 1:05d}", self._run.fingerprints)

    def _find_known_audio(self) -> None:
        """Write the copies of audio that the lake has; remember the others, and the audio that may come again."""
        known = [copy for copy in self._plan.copies if copy.primary is None]
        for copy in self._plan.copies:
            if copy.primary is not None:
                self._copies[source_key(copy.primary)].append(copy)
        with connect(self._lake) as connection:
            sizes = {recording.size_bytes for recording in self._plan.todo}
            self._results = known_results(connection, self._run.fingerprints, sizes)
            rows = known_rows(connection, {copy.recording_id for copy in known})
        for copy in known:
            row = rows.get(copy.recording_id)
            if row is None:
                raise LakeError(f"the lake no longer has the audio of {copy.recording.uri}; plan again")
            self._buffer["recordings"].append(copied_row(row, copy.recording, self._stamp))
            self._added.add(source_key(copy.recording))

    def _add_copy(self, copy: Copy, scored: ScoredRecording) -> None:
        row = recording_row(replace(scored, recording=copy.recording), self._stamp, self._lake.key)
        if scored.status == "scored" and scored.audio:
            row |= _copy_of(self._results[scored.audio.recording_id])
        self._buffer["recordings"].append(row)
        self._added.add(source_key(copy.recording))

    def _take(self, rows: Rows) -> None:
        for name, some in rows.items():
            self._buffer[name].extend(some)
        self._num_utterances += len(rows["utterances"])

    def _seal(self) -> Batch:
        rows, self._buffer = self._buffer, _empty()
        scorer = max((row["scorer"] for row in rows["emotions"]), default=None)
        tables = {name: arrow_table(name, rows[name]) for name in DATA_TABLES}
        batch = Batch(self._sequence, self._stamp.commit_id, tables, scorer)
        self._sequence += 1
        self._num_commits += 1
        return batch

    def _close(self, status: RunStatus) -> Ledger:
        if self._ledger is not None:
            return self._ledger
        if self._is_idle:
            self._ledger = Ledger()
            return self._ledger
        while self.commit():
            continue
        with connect(self._lake) as connection:
            ledger = self._ledger = run_ledger(connection, self._run.run_id, self._plan.planned)
        failpoint("before_run_end")
        try:
            if status == "finished":
                ledger.check()
        except LedgerError:
            status = "unbalanced"
            raise
        finally:
            self._append_run(status, ledger)
        return ledger

    def _append_run(self, status: RunStatus, ledger: Ledger | None) -> None:
        row = _run_row(self._run) | {
            "status": status,
            "written_at": datetime.now(UTC),
            "num_known": len(self._plan.done) + len(self._plan.known_failures),
            "num_planned": len(self._plan.planned),
        }
        if ledger is not None:
            row |= asdict(ledger)
            row["num_utterances"] = self._num_utterances
            row["wall_s"] = round(self._clock() - self._started_s, 3)
            row["stage_s"] = sorted((stage, round(seconds, 3)) for stage, seconds in self._stage_s.items())
            row["gpu_s"] = [(stage, round(self._run.gpus.get(stage, 0.0) * s, 3)) for stage, s in row["stage_s"]]
        self._lake.append("runs", arrow_table("runs", [row]), self._sequence)
        self._sequence += 1


def _empty() -> Rows:
    return {name: [] for name in DATA_TABLES}


def _copy_of(result_commit_id: str) -> Row:
    return {"is_copy": True, "result_commit_id": result_commit_id}


def _run_row(run: Run) -> Row:
    row: Row = {name: getattr(run, name) for name in ("run_id", "started_at", "profile", "options", "git_revision")}
    maps = ("versions", "model_digests", "fingerprints")
    return row | {name: sorted(getattr(run, name).items()) for name in maps}


def _commit_table(batch: Batch, run_id: str) -> pa.Table:
    row: Row = {
        "sequence": batch.sequence,
        "commit_id": batch.commit_id,
        "run_id": run_id,
        "committed_at": datetime.now(UTC),
        "scorer": batch.scorer,
        **{f"num_{name}": batch.tables[name].num_rows for name in ("recordings", "utterances", "words", "emotions")},
    }
    return arrow_table("commits", [row])
