"""The only way to read a lake: DuckDB over the files of the commit log, closed to everything else.

    with open_lake("calls.lake") as lake:
        lake.sql("SELECT label, count(*) FROM active_emotions GROUP BY label")

Views: recordings, results, utterances, words, turns, pieces, emotions, active_emotions, calls, active_scorers,
corpus_facts, speaker_edits, annotations, erasures, runs, commits. A row of results stands there once for every corpus
that has the audio. What a reader sees is one moment of the lake; `refresh` moves it to a later one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb
import pyarrow as pa

from mmer_ray.errors import LakeError, SourceError, UsageError
from mmer_ray.lake.changing import OPENING_TRIES
from mmer_ray.lake.conversation import Conversation, measures_of, turns_of, utterances_of
from mmer_ray.lake.gone import gone_tables, num_erased_speakers
from mmer_ray.lake.limits import Answer, QueryLimits, Take, in_memory, limited, streamed
from mmer_ray.lake.refresh import next_moment
from mmer_ray.lake.statements import refuse_writing
from mmer_ray.lake.status import LakeStatus, status_of
from mmer_ray.lake.store import Lake
from mmer_ray.lake.values import rows_of
from mmer_ray.lake.views import UNREADABLE, Moment, damaged, is_of_store, moment_now
from mmer_ray.tables import Row

MAX_CANDIDATES = 10
"""So many recordings are listed when a name fits several."""

EASY_TO_READ_MS = 600_000
"""Longer recordings are not what somebody wants to see first."""

WAYS_TO_NAME = (
    "recording_id = $name",
    "uri = $name",
    "ends_with(uri, '/' || $name)",
    "starts_with(recording_id, $name) AND length($name) >= 4",
    "parse_filename(uri, true) = $name",
)
"""How a recording may be named, the strictest first: the first way that finds any decides."""

GONE = (*UNREADABLE, duckdb.HTTPException, FileNotFoundError)
"""What a query raises whose files are not there any more, or cannot be read."""


class LakeReader:
    """One moment of a lake, through bound parameters only. Safe to share between threads.

    It moves to a later moment by `refresh`, or by itself: where files that it reads were removed by compaction or
    erasure, and with `refresh_s` where so many seconds have passed since it looked for new commits. A query that runs
    meanwhile ends at its own moment.
    """

    def __init__(self, lake: Lake, limits: QueryLimits | None = None, refresh_s: float | None = None) -> None:
        self.address = lake.address
        self._lake, self._refresh_s = lake, refresh_s
        self.limits = limits or QueryLimits()
        self._refreshing = Lock()
        self._looked_s = time.monotonic()
        with in_memory(self.limits):
            self._moment = moment_now(lake, self.limits.settings)

    def close(self) -> None:
        """Let the files go."""
        self._moment.connection.close()

    def refresh(self) -> bool:
        """Show what was committed since; whether anything was. Costs little where few commits are new.

        Raises `LakeError` for a lake that was damaged since.
        """
        with self._refreshing:
            return self._move()

    def version(self) -> str:
        """Of the moment that is read now: other rows, another version. Looks for new commits as `refresh_s` says."""
        return repr(sorted(self._current().versions.items()))

    def sql(self, query: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """The answer to one reading statement (SELECT, WITH, FROM, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN).

        `parameters` fill `$name` in it. Raises `UsageError` for anything else, for what DuckDB refuses and for what
        takes more than the reader's `limits`.
        """

        def answer(connection: duckdb.DuckDBPyConnection) -> pa.Table:
            refuse_writing(connection, query)
            try:
                return limited(connection.cursor(), query, dict(parameters or {}), self.limits)
            except duckdb.InvalidInputException as exc:
                # Of the query, or of a file that is no Parquet; a query of our own tells.
                raise UsageError(f"the query cannot be answered: {exc}") from exc

        try:
            return self._asked(answer)
        except duckdb.Error as exc:
            raise UsageError(f"the query cannot be answered: {exc}") from exc

    def table(self, query: str, parameters: Mapping[str, Any]) -> pa.Table:
        """As `sql`, for a query of this project's own: what cannot be read is `LakeError`, what takes more than the
        `limits` is `UsageError`."""
        return self._asked(lambda connection: limited(connection.cursor(), query, dict(parameters), self.limits))

    def stream(self, query: str, parameters: Mapping[str, Any], take: Take[Answer]) -> Answer:
        """As `table`, for what need not be held whole: what `take` makes of the rows, which come a batch at a time. It
        is called anew, for all of them, where the lake was rewritten meanwhile."""
        return self._asked(lambda connection: streamed(connection.cursor(), query, dict(parameters), self.limits, take))

    def find_recording(self, name: str) -> Row:
        """The row of `recordings` that a recording_id (or four digits of its start), a uri, the end of a path or
        a bare file name points to. Raises `SourceError` where it fits none or several."""
        return self._asked(lambda connection: self._find(connection, name))

    def _find(self, connection: duckdb.DuckDBPyConnection, name: str) -> Row:
        parameters = {"name": name.removeprefix("./")}
        for way in WAYS_TO_NAME:
            query = f"SELECT * FROM recordings WHERE {way} ORDER BY is_copy, corpus, uri"  # noqa: S608
            found = rows_of(connection, query, parameters)
            if len({row["recording_id"] for row in found}) > 1:
                some = "\n".join(f"  {row['recording_id']}  {row['uri']}" for row in found[:MAX_CANDIDATES])
                more = f"\n  and {len(found) - MAX_CANDIDATES} more" if len(found) > MAX_CANDIDATES else ""
                raise SourceError(f"{name!r} names {len(found)} recordings; use one of these ids:\n{some}{more}")
            if found:
                return found[0]
        raise SourceError(f"no recording in {self.address} is called {name!r}; `mmer query` on recordings lists them")

    def last_scored(self, limit: int) -> tuple[list[Row], int]:
        """What the newest run that scored any recordings has scored: at most `limit` of their rows, and how many
        there are. Short ones of several people come first, then other short ones, then long ones; no copies."""
        query = """
            SELECT *, count(*) OVER () AS num_all FROM recordings
            WHERE status = 'scored' AND NOT is_copy AND run_id = (
                SELECT max_by(run_id, started_at) FROM runs SEMI JOIN recordings AS scored
                ON runs.run_id = scored.run_id AND scored.status = 'scored' AND NOT scored.is_copy
            )
            ORDER BY duration_ms <= $easy_ms DESC, num_speakers > 1 DESC, uri, corpus
            LIMIT $limit
        """
        rows = self.rows(query, {"easy_ms": EASY_TO_READ_MS, "limit": limit})
        num_all = rows[0]["num_all"] if rows else 0
        return [{name: value for name, value in row.items() if name != "num_all"} for row in rows], num_all

    def conversation(self, recording: str | Row) -> Conversation:
        """Who spoke when, what was said and how it was felt, in one recording: a row of `find_recording`, or what it
        takes. Of audio that several corpora have it shows what the row's own corpus sees.

        The emotions are the active scorer's, or the newest one's that has heard this recording. Raises `SourceError`
        as `find_recording` does.
        """
        return self._asked(lambda connection: self._conversation(connection, recording))

    def _conversation(self, connection: duckdb.DuckDBPyConnection, recording: str | Row) -> Conversation:
        row = self._find(connection, recording) if isinstance(recording, str) else recording
        if row["status"] != "scored":
            return Conversation(row, (), None, None)
        place = {"corpus": row["corpus"], "recording_id": row["recording_id"]}
        mine = "WHERE corpus = $corpus AND recording_id = $recording_id"
        spoken = f"{mine} ORDER BY utterance_idx"
        calls = rows_of(connection, f"SELECT * FROM calls {mine}", place)  # noqa: S608
        scorer = _scorer_of(connection, place, calls)
        emotions = f"SELECT * FROM emotions {mine} AND scorer = $scorer ORDER BY utterance_idx"  # noqa: S608
        said = rows_of(connection, f"SELECT * FROM utterances {spoken}", place)  # noqa: S608
        utterances = utterances_of(
            said,
            rows_of(connection, f"SELECT * FROM words {spoken}, word_idx", place),  # noqa: S608
            rows_of(connection, emotions, {**place, "scorer": scorer}),
        )
        turns = turns_of(rows_of(connection, f"SELECT * FROM turns {mine} ORDER BY turn_idx", place))  # noqa: S608
        results = rows_of(connection, f"SELECT * FROM results {mine}", place)  # noqa: S608
        num_words = sum(one["num_words"] or 0 for one in said)
        return Conversation(
            recording=row,
            utterances=utterances,
            measures=measures_of(calls[0]) if calls else None,
            scorer=scorer,
            turns=turns,
            gone=gone_tables(results[0], calls, utterances, turns, num_words) if results else (),
            num_erased_speakers=num_erased_speakers(results[0]) if results else 0,
        )

    def status(self) -> LakeStatus:
        """Runs, ledger and failures by code."""
        return self._asked(status_of)

    def rows(self, query: str, parameters: Mapping[str, Any]) -> list[Row]:
        """The rows of a query of this package: of its own making, with what a user typed in `parameters` alone."""
        return self._asked(lambda connection: rows_of(connection, query, parameters))

    def _asked(self, ask: Callable[[duckdb.DuckDBPyConnection], Answer]) -> Answer:
        """What is asked of one moment: of a newer one, where files of it are gone and the lake does not name them.
        Raises `LakeError` where the store fails."""
        moment = self._current()
        for _ in range(OPENING_TRIES):
            try:
                with in_memory(self.limits):
                    return ask(moment.connection)
            except (*GONE, duckdb.PermissionException) as exc:
                if isinstance(exc, duckdb.PermissionException) and not _is_gone(exc, moment):
                    raise
                with self._refreshing:
                    if self._moment is moment and not self._move():
                        raise damaged(self.address, exc) from exc
                moment = self._moment
            except duckdb.Error as exc:
                if is_of_store(exc):
                    raise damaged(self.address, exc) from exc
                raise
        raise LakeError(f"the lake {self.address} is rewritten faster than it can be read; try again")

    def _current(self) -> Moment:
        is_due = self._refresh_s is not None and time.monotonic() - self._looked_s >= self._refresh_s
        if is_due and self._refreshing.acquire(blocking=False):
            try:
                self._move()
            finally:
                self._refreshing.release()
        return self._moment

    def _move(self) -> bool:
        """Go to the newest moment; whoever calls it holds the lock. The connection of the earlier one closes when the
        last query that runs in it has ended."""
        self._looked_s = time.monotonic()
        before = self._moment
        with in_memory(self.limits):
            self._moment = next_moment(self._lake, before, self.limits.settings)
        return self._moment is not before


def _is_gone(exc: duckdb.PermissionException, moment: Moment) -> bool:
    """Whether DuckDB looked for a folder in place of one of the lake's own files, which is closed to it: a file that is
    not there any more."""
    return any(f'"{one.file.path}/**/' in str(exc) for some in moment.files.values() for one in some)


def _scorer_of(connection: duckdb.DuckDBPyConnection, place: Mapping[str, Any], calls: list[Row]) -> str | None:
    """The model whose answers are shown: that of the measures, which lakes of version 1 did not always write."""
    if calls:
        return str(calls[0]["scorer"]) or None
    query = """
        SELECT max_by(scorer, sequence) AS scorer
        FROM emotions JOIN (SELECT commit_id, sequence FROM commits) USING (commit_id)
        WHERE corpus = $corpus AND recording_id = $recording_id
    """
    (found,) = rows_of(connection, query, place)
    return None if found["scorer"] is None else str(found["scorer"])


@contextmanager
def open_lake(
    address: str | Path, limits: QueryLimits | None = None, refresh_s: float | None = None
) -> Iterator[LakeReader]:
    """Read a lake as it is now; `limits` and `refresh_s` as `LakeReader` has them. Needs no key.

    Raises `LakeError` where there is none, `PreflightError` where its store cannot be used.
    """
    lake = Lake(address, to_read=True)
    lake.require_existing()
    reader = LakeReader(lake, limits, refresh_s)
    try:
        yield reader
    finally:
        reader.close()
