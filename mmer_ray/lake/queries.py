"""The only way to read a lake: DuckDB over the files of the commit log, closed to everything else.

    with open_lake("calls.lake") as lake:
        lake.sql("SELECT label, count(*) FROM active_emotions GROUP BY label")

Views: recordings, results, utterances, words, turns, pieces, emotions, active_emotions, calls, active_scorers,
speaker_edits, erasures, runs, commits. A row of results stands there once for every corpus that has the audio. What a
reader sees is one moment of the lake; open it again to see later commits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from mmer_ray.errors import LakeError, SourceError, UsageError
from mmer_ray.lake.conversation import Conversation, measures_of, turns_of, utterances_of
from mmer_ray.lake.gone import gone_tables, num_erased_speakers
from mmer_ray.lake.ledger import Ledger, lake_ledger
from mmer_ray.lake.store import Lake
from mmer_ray.lake.values import values_of
from mmer_ray.lake.views import connect, damaged, is_of_store
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

_EXPLAIN = re.compile(r"\s*EXPLAIN\b\s*(?:ANALYZE\b|\(\s*\w[\w\s,]*\))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FailureCount:
    """How often a code occurs among the recordings' newest rows."""

    error_code: str
    error_stage: str
    num_recordings: int
    claimed_s: float
    example_uri: str


@dataclass(frozen=True, slots=True)
class LakeStatus:
    """What `mmer status` prints."""

    ledger: Ledger
    runs: list[Row]
    """Newest first; a killed run stays `started`."""
    failures: list[FailureCount]
    """Most frequent first."""
    num_utterances: int
    """Of distinct audio: what two corpora share counts once."""
    active_scorers: dict[str, str]
    """Corpus -> the emotion model that its views and summaries follow."""
    dropped_words: dict[str, int]
    """Reason -> words that the recognizer read and did not believe, counted as `num_utterances` is."""

    @property
    def active_scorer(self) -> str | None:
        """The one model, or all of them, that the corpora follow; None before the first answer."""
        return ", ".join(sorted(set(self.active_scorers.values()))) or None


class LakeReader:
    """One moment of a lake, through bound parameters only. Safe to share between threads."""

    def __init__(self, lake: Lake) -> None:
        self.address = lake.address
        self._connection = connect(lake)

    def close(self) -> None:
        """Let the files go."""
        self._connection.close()

    def sql(self, query: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """The answer to one reading statement (SELECT, WITH, FROM, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN).

        `parameters` fill `$name` in it. Raises `UsageError` for anything else and for what DuckDB refuses.
        """
        try:
            _refuse_writing(self._connection, query)
            answer: pa.Table = self._connection.cursor().sql(query, params=dict(parameters or {})).to_arrow_table()
        except (duckdb.IOException, duckdb.HTTPException) as exc:
            raise damaged(self.address, exc) from exc
        except duckdb.Error as exc:
            if is_of_store(exc):
                raise damaged(self.address, exc) from exc
            raise UsageError(f"the query cannot be answered: {exc}") from exc
        return answer

    def find_recording(self, name: str) -> Row:
        """The row of `recordings` that a recording_id (or four digits of its start), a uri, the end of a path or
        a bare file name points to. Raises `SourceError` where it fits none or several."""
        parameters = {"name": name.removeprefix("./")}
        for way in WAYS_TO_NAME:
            query = f"SELECT * FROM recordings WHERE {way} ORDER BY is_copy, corpus, uri"  # noqa: S608
            found = self._rows(query, parameters)
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
        rows = self._rows(query, {"easy_ms": EASY_TO_READ_MS, "limit": limit})
        num_all = rows[0]["num_all"] if rows else 0
        return [{name: value for name, value in row.items() if name != "num_all"} for row in rows], num_all

    def conversation(self, recording: str | Row) -> Conversation:
        """Who spoke when, what was said and how it was felt, in one recording: a row of `find_recording`, or what it
        takes. Of audio that several corpora have it shows what the row's own corpus sees.

        The emotions are the active scorer's, or the newest one's that has heard this recording. Raises `SourceError`
        as `find_recording` does.
        """
        row = self.find_recording(recording) if isinstance(recording, str) else recording
        if row["status"] != "scored":
            return Conversation(row, (), None, None)
        place = {"corpus": row["corpus"], "recording_id": row["recording_id"]}
        mine = "WHERE corpus = $corpus AND recording_id = $recording_id"
        spoken = f"{mine} ORDER BY utterance_idx"
        calls = self._rows(f"SELECT * FROM calls {mine}", place)  # noqa: S608
        scorer = self._scorer_of(place, calls)
        emotions = f"SELECT * FROM emotions {mine} AND scorer = $scorer ORDER BY utterance_idx"  # noqa: S608
        said = self._rows(f"SELECT * FROM utterances {spoken}", place)  # noqa: S608
        utterances = utterances_of(
            said,
            self._rows(f"SELECT * FROM words {spoken}, word_idx", place),  # noqa: S608
            self._rows(emotions, {**place, "scorer": scorer}),
        )
        turns = turns_of(self._rows(f"SELECT * FROM turns {mine} ORDER BY turn_idx", place))  # noqa: S608
        results = self._rows(f"SELECT * FROM results {mine}", place)  # noqa: S608
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
        failures = """
            SELECT error_code, error_stage, count(*) AS num_recordings,
                   coalesce(sum(expected_ms), 0) / 1000 AS claimed_s, min(uri) AS example_uri
            FROM recordings WHERE status = 'failed'
            GROUP BY ALL ORDER BY num_recordings DESC, error_code, error_stage
        """
        (counted,) = self._rows(
            "SELECT count(*) AS num_utterances FROM internal.utterances AS said SEMI JOIN internal.shown AS shown "
            "ON said.recording_id = shown.recording_id AND said.commit_id = shown.heard_commit",
            {},
        )
        active = (
            "SELECT DISTINCT corpus, active_scorer FROM internal.shown WHERE active_scorer IS NOT NULL ORDER BY ALL"
        )
        dropped = """
            SELECT reason, sum(num_words)::BIGINT AS num_words FROM (
                SELECT unnest(map_keys(dropped_words)) AS reason, unnest(map_values(dropped_words)) AS num_words
                FROM internal.results AS heard SEMI JOIN internal.shown AS shown
                ON heard.recording_id = shown.recording_id AND heard.commit_id = shown.heard_commit
            ) GROUP BY reason ORDER BY reason
        """
        return LakeStatus(
            ledger=lake_ledger(self._connection.cursor()),
            runs=self._rows("SELECT * FROM runs ORDER BY started_at DESC, run_id", {}),
            failures=[FailureCount(**row) for row in self._rows(failures, {})],
            num_utterances=counted["num_utterances"],
            active_scorers={row["corpus"]: row["active_scorer"] for row in self._rows(active, {})},
            dropped_words={row["reason"]: row["num_words"] for row in self._rows(dropped, {})},
        )

    def _scorer_of(self, place: Mapping[str, Any], calls: list[Row]) -> str | None:
        """The model whose answers are shown: that of the measures, which lakes of version 1 did not always write."""
        if calls:
            return str(calls[0]["scorer"]) or None
        query = """
            SELECT max_by(scorer, sequence) AS scorer
            FROM emotions JOIN (SELECT commit_id, sequence FROM commits) USING (commit_id)
            WHERE corpus = $corpus AND recording_id = $recording_id
        """
        (found,) = self._rows(query, place)
        return None if found["scorer"] is None else str(found["scorer"])

    def _rows(self, query: str, parameters: Mapping[str, Any]) -> list[Row]:
        relation = self._connection.cursor().sql(query, params=dict(parameters))
        table = relation.to_arrow_table()
        columns = [values_of(column) for column in table.columns]
        return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


@contextmanager
def open_lake(address: str | Path) -> Iterator[LakeReader]:
    """Read a lake as it is now. Needs no key. Raises `LakeError` where there is none, `PreflightError` where its store
    cannot be used."""
    lake = Lake(address, to_read=True)
    if not lake.exists:
        raise LakeError(f"{lake.address} is not a lake; `mmer score SOURCE --lake {lake.address}` makes one")
    reader = LakeReader(lake)
    try:
        yield reader
    finally:
        reader.close()


def _refuse_writing(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Let one reading statement pass. DuckDB's file restrictions stop reading elsewhere, but not writing to the
    lake's own files, and EXPLAIN ANALYZE runs what it explains; so kinds of statements are listed, not guessed."""
    kinds = _kinds(connection, query)
    if kinds == ["EXPLAIN"]:
        prefix = _EXPLAIN.match(query)
        kinds = _kinds(connection, query[prefix.end() :]) if prefix else kinds
    if len(kinds) != 1:
        raise UsageError(f"a query is one statement, this has {len(kinds)}")
    if kinds != ["SELECT"]:
        raise UsageError(f"a lake is read-only here: {kinds[0]} is refused; use SELECT, WITH, DESCRIBE or EXPLAIN")


def _kinds(connection: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    return [statement.type.name for statement in connection.extract_statements(query)]
