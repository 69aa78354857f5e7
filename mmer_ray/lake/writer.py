"""The one writer: takes answers and commits them so that each appears exactly once, whole or not at all.

A commit appends its rows to every table and, last, one row to `commits`. A crash in between leaves rows whose
commit_id is not listed there: they do not exist to a reader, and the next run makes them again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mmer_ray.errors import ErrorCode, LedgerError, StoreError
from mmer_ray.failpoint import failpoint
from mmer_ray.lake.answers import Answers
from mmer_ray.lake.batch import Batch, sealed
from mmer_ray.lake.card import recording_id, uri_id
from mmer_ray.lake.columns import values
from mmer_ray.lake.commit import append_commit
from mmer_ray.lake.copies import COPY_COLUMNS, copy_rows, follow, with_containers
from mmer_ray.lake.erased import ErasedAudio, erasures_table
from mmer_ray.lake.heard import HeardAudio
from mmer_ray.lake.ledger import Ledger, Received, run_ledger
from mmer_ray.lake.plan import Plan
from mmer_ray.lake.run import Run, run_row
from mmer_ray.lake.sources import Sources
from mmer_ray.lake.store import Lake
from mmer_ray.lake.views import connect_internal
from mmer_ray.lake.visibility import find_wanted
from mmer_ray.profiles import RunOptions
from mmer_ray.tables import SCHEMAS, Row

CHANGED = "the file changed since it was heard, with its size as it was"
RunStatus = Literal["started", "finished", "interrupted", "unbalanced"]


class Writer:
    """A context manager around one run: holds the lake's lock, writes the run's start and its end.

        with Writer(lake, run, plan) as writer:
            for answers in arriving:
                writer.add(answers)
                if writer.due():
                    writer.commit()

    Leaving it commits what is left and closes the run: `finished`, or `interrupted` when an exception passes. A plan
    with nothing to do writes nothing. `StoreError` says that the store failed: `commit`, `finish` and `interrupt` may
    then be called again, and go on where they stopped.
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
        self._sources = Sources(plan.todo)
        self._is_taken = np.zeros(plan.todo.num_rows, dtype=bool)
        self._open: list[tuple[Answers, npt.NDArray[np.int64]]] = []
        self._num_bytes = 0
        self._known_copies = COPY_COLUMNS.empty_table()
        self._pending: Batch | None = None
        self._received = Received(plan)
        self._stage_s: Counter[str] = Counter()
        self._gpu_s: Counter[str] = Counter()
        self._num_utterances = 0
        self._end: tuple[RunStatus, Ledger] | None = None
        self._imbalance: LedgerError | None = None
        self._is_closed = plan.is_empty

    def __enter__(self) -> Writer:
        if self._plan.is_empty:
            return self
        with ExitStack() as stack:
            stack.enter_context(self._lake.lock())
            self._lake.create()
            self._sequence = self._lake.next_sequence()
            self._look_up()
            self._append_run("started", None)
            failpoint("after_run_start")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            # A store that failed to the end would fail again.
            if self._is_closed or isinstance(error, StoreError):
                return
            try:
                self._close("finished" if kind is None else "interrupted")
            except LedgerError as imbalance:
                if error is None:
                    raise
                # What ended the run is the news; the table `runs` has the sums.
                error.add_note(str(imbalance))

    def add(self, answers: Answers) -> pa.Table:
        """Take the answers of some recordings of the plan.

        Returns what was taken, schema `answers.SUMMARY`: the first answer of each recording counts.
        """
        recordings = answers.tables["recordings"]
        corpora, uris = (values(recordings, name) for name in ("corpus", "uri"))
        positions = self._sources.positions(corpora, uris)
        is_first = np.zeros(len(positions), dtype=bool)
        is_first[np.unique(positions, return_index=True)[1]] = True
        keep = is_first & ~self._is_taken[positions]
        answers, positions = answers.only(keep), positions[keep]
        self._is_taken[positions] = True
        answers = self._without_changed(answers, positions)
        summary = answers.summary
        self._received.add(summary, self._plan.todo.column("expected_ms").take(positions))
        if self._plan.is_rescore:
            answers, positions = self._without_failed(answers, positions)
        for stages, seconds in ((self._stage_s, "stage_s"), (self._gpu_s, "gpu_s")):
            for items in values(summary, seconds):
                stages.update(dict(items))
        if answers.num_recordings:
            self._open.append((answers, positions))
            self._num_bytes += answers.num_bytes
        return summary

    def due(self) -> bool:
        """Whether enough rows or enough time have gathered for a commit."""
        if self._pending is None and not self._open and not self._known_copies.num_rows:
            return False
        waited_s = self._clock() - self._committed_s
        most_s = self._options.commit_every_s if self._num_commits else self._options.first_commit_s
        return self._num_bytes >= self._options.commit_every_mb * 1e6 or waited_s >= min(
            most_s, self._options.commit_every_s
        )

    def commit(self) -> str | None:
        """Make what was added visible; returns the commit_id, or None when there was nothing.

        After `StoreError` it may be called again: a table that has the rows is passed over.
        """
        if self._pending is None and (self._open or self._known_copies.num_rows):
            self._pending = self._seal()
        if self._pending is None:
            return None
        batch = self._pending
        append_commit(self._lake, batch, self._run.run_id, self._plan.keys.scorer)
        self._num_utterances += batch.tables["utterances"].num_rows
        self._pending = None
        self._committed_s = self._clock()
        return batch.commit_id

    def finish(self) -> Ledger:
        """Commit the rest and close the run. Raises `LedgerError` when its ledger does not sum."""
        return self._close("finished")

    def interrupt(self) -> Ledger:
        """Commit what is there and close the run as interrupted; the same command goes on from here. Raises as
        `finish`: recordings that nobody reached are in order, others must sum."""
        return self._close("interrupted")

    def _look_up(self) -> None:
        """Read what the lake knows of the audio that may come again, and make the rows of its copies."""
        with connect_internal(self._lake) as connection:
            self._erased = ErasedAudio(connection, self._lake, self._plan)
            find_wanted(connection, self._plan.keys)
            self._heard = HeardAudio(connection, self._plan)
            copies = with_containers(connection, self._plan.copies)
            active = connection.execute("SELECT DISTINCT corpus FROM internal.active_scorers").fetchall()
        self._followed = {corpus for (corpus,) in active}
        known = copies.filter(copies.column("is_known"))
        self._copies = copies.filter(pc.invert(copies.column("is_known")))
        self._known_copies = copy_rows(known, self._plan.keys)
        self._received.add_copies(known.num_rows)

    def _without_changed(self, answers: Answers, positions: npt.NDArray[np.int64]) -> Answers:
        """What was felt in other bytes than were heard is no answer: the file changed, and the row says so. Nor is
        anything of other bytes than those that a rescore asks about."""
        recordings = answers.tables["recordings"]
        checked = {"emotion", "decode"} if self._plan.is_rescore else {"emotion"}
        if not checked.intersection(recordings.column("restart").unique().to_pylist()):
            return answers
        planned = values(self._plan.todo.select(["recording_id"]).take(positions), "recording_id")
        changed = [
            digest is not None and restart in checked and recording_id(digest, self._lake.key) != name
            for digest, restart, name in zip(
                values(recordings, "recording_id"), values(recordings, "restart"), planned, strict=True
            )
        ]
        return answers.failed_at(np.array(changed, dtype=bool), ErrorCode.CHANGED_DURING_READ, "decode", CHANGED)

    def _without_failed(
        self, answers: Answers, positions: npt.NDArray[np.int64]
    ) -> tuple[Answers, npt.NDArray[np.int64]]:
        """The scored ones. A recording that was scored never becomes a failed one by being asked again."""
        is_scored = np.array([status == "scored" for status in values(answers.tables["recordings"], "status")], bool)
        failed = self._plan.todo.column("recording_id").take(positions[~is_scored])
        waits = pc.is_in(self._copies.column("recording_id"), value_set=failed.combine_chunks())
        self._received.keep(len(failed), self._copies.filter(waits).num_rows)
        return answers.only(is_scored), positions[is_scored]

    def _seal(self) -> Batch:
        many, self._open, self._num_bytes = self._open, [], 0
        answers = Answers.concat(one for one, _ in many)
        positions = np.concatenate([np.empty(0, dtype=np.int64), *(part for _, part in many)])
        todo = self._plan.todo.select(["recording_id", "needs_row", "heard_key", "expected_ms"]).take(positions)
        planned = values(todo, "recording_id")
        ids = self._recording_ids(answers, planned)
        # Copies name the hearing of the plan's keys: the same audio with its speakers counted again stands for none.
        awaited = [
            name if heard_key == self._plan.keys.heard else None
            for name, heard_key in zip(planned, values(todo, "heard_key"), strict=True)
        ]
        followers = follow(self._copies, answers.with_containers(), ids, awaited, self._plan.keys)
        self._received.add_followers(followers, answers.summary, awaited)
        more = pa.concat_tables([self._known_copies, followers])
        self._known_copies = self._known_copies.slice(0, 0)
        keep, erasures = self._erased.judge(answers, ids, more)
        self._received.drop(answers.only(~keep).summary, todo.column("expected_ms").filter(pa.array(~keep)))
        answers, todo = answers.only(keep), todo.filter(pa.array(keep))
        ids = [name for name, is_kept in zip(ids, keep.tolist(), strict=True) if is_kept]
        placed = self._heard.place(answers, ids, values(todo, "needs_row"), values(todo, "recording_id"))
        self._received.add_recognized(int(placed.is_copy.sum()))
        self._num_commits += 1
        commit_id = f"{self._run.run_id}.{self._num_commits:05d}"
        extra = {"active_scorers": self._activations(answers, more), "erasures": erasures_table(erasures)}
        batch = sealed(placed, more, extra, self._sequence, self._run.run_id, commit_id)
        self._sequence += 1
        return batch

    def _recording_ids(self, answers: Answers, planned: list[str | None]) -> list[str]:
        """The lake's name of each answer's audio: of its digest, else as the planner knows it, else of its uri."""
        recordings, key = answers.tables["recordings"], self._lake.key
        columns = (values(recordings, name) for name in ("recording_id", "status", "uri"))
        ids = []
        for digest, status, uri, name in zip(*columns, planned, strict=True):
            if digest is not None:
                ids.append(recording_id(digest, key))
            elif status == "scored":
                assert name is not None, f"{uri}: scored, and nobody read its bytes"
                ids.append(name)
            else:
                ids.append(uri_id(uri, key))
        return ids

    def _activations(self, answers: Answers, more: pa.Table) -> pa.Table:
        """A corpus follows the first model that answers in it."""
        rows = pa.concat_tables([table.select(["corpus", "status"]) for table in (answers.tables["recordings"], more)])
        scored = set(values(rows.filter(pc.field("status") == "scored"), "corpus"))
        corpora = sorted(scored - self._followed)
        self._followed.update(corpora)
        now = datetime.now(UTC)
        made = [{"corpus": corpus, "scorer": self._plan.keys.scorer, "activated_at": now} for corpus in corpora]
        return pa.Table.from_pylist(made, schema=SCHEMAS["active_scorers"])

    def _close(self, status: RunStatus) -> Ledger:
        if self._plan.is_empty:
            return Ledger()
        if self._end is None:
            while self.commit():
                continue
            with connect_internal(self._lake) as connection:
                ledger = run_ledger(connection, self._run.run_id, self._plan, self._received, self._lake.key)
            failpoint("before_run_end")
            self._imbalance = _imbalance(self._received, ledger, is_finished=status == "finished")
            self._end = ("unbalanced" if self._imbalance else status, ledger)
        status, ledger = self._end
        if not self._is_closed:
            self._append_run(status, ledger)
            self._is_closed = True
        if self._imbalance is not None:
            raise self._imbalance
        return ledger

    def _append(self, name: str, rows: pa.Table, sequence: int) -> None:
        self._lake.append(name, rows, sequence, self._run.run_id)

    def _append_run(self, status: RunStatus, ledger: Ledger | None) -> None:
        row: Row = run_row(self._run) | {
            "status": status,
            "written_at": datetime.now(UTC),
            "num_known": self._plan.num_done + self._plan.num_known_failures,
            "num_planned": self._plan.num_planned,
        }
        if ledger is not None:
            row |= asdict(ledger)
            row["num_utterances"] = self._num_utterances
            row["wall_s"] = round(self._clock() - self._started_s, 3)
            row["stage_s"], row["gpu_s"] = (
                sorted((stage, round(seconds, 3)) for stage, seconds in stages.items())
                for stages in (self._stage_s, self._gpu_s)
            )
        self._append("runs", pa.Table.from_pylist([row], schema=SCHEMAS["runs"]), self._sequence)
        self._sequence += 1


def _imbalance(received: Received, ledger: Ledger, *, is_finished: bool) -> LedgerError | None:
    try:
        received.check(ledger, is_finished=is_finished)
    except LedgerError as error:
        return error
    return None
