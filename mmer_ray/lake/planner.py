"""What a job has to do: the listing minus what is still true in the lake. DuckDB and no Ray.

The listing streams into DuckDB, where each file is compared with its row in the lake; what is done never becomes a
Python object. A file that has to be worked on gets the first step it must go through again (`records.Restart`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from mmer_ray.errors import RETRYABLE, ErrorCode, UsageError
from mmer_ray.lake.copies import hash_candidates
from mmer_ray.lake.erased import find_decisions, find_erased_audio, mark_erased_files
from mmer_ray.lake.plan import COPIES, TODO, Plan
from mmer_ray.lake.store import Lake
from mmer_ray.lake.views import Spill, connect_internal
from mmer_ray.lake.visibility import find_wanted
from mmer_ray.profiles import RunOptions
from mmer_ray.records import GUESSED_BYTES_PER_S
from mmer_ray.sources.corpora import MAX_CORPUS_BYTES, is_corpus
from mmer_ray.tables import LISTED

if TYPE_CHECKING:
    from mmer_ray.stages.keys import Keys

LIMIT_CODES = (ErrorCode.TOO_LONG, ErrorCode.FILE_TOO_BIG, ErrorCode.OUT_OF_MEMORY, ErrorCode.DECODE_TIMEOUT)
"""Failures that other limits may undo; those of the bytes alone stay true until they, or the decoder, change."""

PLAN_MEMORY_MB = 1_000
"""DuckDB's share; what does not fit goes to a temporary folder."""

PLANNED_MS = f"coalesce(expected_ms, size_bytes * 1000 / {GUESSED_BYTES_PER_S})"

REPEATED = """
    CREATE TEMP TABLE repeated AS
    SELECT corpus, uri, min(position) AS first, count(*) - 1 AS num_more FROM listed GROUP BY corpus, uri
    HAVING count(*) > 1
"""
DROP_REPEATED = """
    DELETE FROM listed USING repeated
    WHERE listed.corpus = repeated.corpus AND listed.uri = repeated.uri AND listed.position > repeated.first
"""

COMPARED = """
    CREATE TEMP TABLE compared AS
    SELECT position, known.recording_id, known.heard_key, known.uri IS NOT NULL AS is_known, CASE
            WHEN known.uri IS NULL OR known.size_bytes <> listed.size_bytes OR known.modified <> listed.modified
                THEN 'new'
            WHEN known.status = 'scored' THEN 'scored'
            WHEN list_contains($retried::VARCHAR[], known.error_code) THEN 'again'
            WHEN known.decode_key IS DISTINCT FROM $decode THEN 'again'
            WHEN list_contains($retryable::VARCHAR[], known.error_code) THEN CASE
                WHEN known.attempts > $max_retries THEN 'failed'
                WHEN epoch($now::TIMESTAMPTZ - committed_at) < $retry_after_s * 2.0 ** (known.attempts - 1) THEN 'waits'
                ELSE 'again' END
            WHEN list_contains($limit_codes::VARCHAR[], known.error_code) AND known.limits_key IS DISTINCT FROM $limits
                THEN 'again'
            ELSE 'failed'
        END AS verdict,
        CASE WHEN verdict = 'again' AND (list_contains($retryable::VARCHAR[], known.error_code)
                OR list_contains($retried::VARCHAR[], known.error_code))
            THEN known.attempts + 1 ELSE 1 END AS attempt
    FROM listed
    LEFT JOIN internal.current AS known ON known.corpus = listed.corpus AND known.uri = listed.uri
    LEFT JOIN commits ON commits.commit_id = known.commit_id
"""
"""Each listed file against its newest row. `scored`: its audio is known, and still to be compared."""

AUDIO = """
    CREATE TEMP TABLE audio AS
    SELECT position, recording_id, heard_key FROM compared WHERE verdict = 'scored'
"""
"""The files whose recording_id is known, and the results that their row names, if any."""

WORK = f"""
    CREATE TEMP TABLE work AS
    WITH placed AS (
        SELECT listed.position, attempt, audio.recording_id,
            CASE WHEN $again AND (erased.of_speaker OR erased.of_rows) THEN 'decode'
                ELSE coalesce(reclustered.missing, wanted.missing, 'decode') END AS restart,
            CASE WHEN restart = 'decode' THEN $heard ELSE coalesce(reclustered.heard_key, $heard) END AS heard_key,
            (reclustered.heard_key IS NULL OR restart = 'decode') AND audio.heard_key IS DISTINCT FROM $heard
                AS needs_row,
            coalesce(wanted.duration_ms, old.duration_ms, listed.expected_ms) AS expected_ms,
            corpus, uri, size_bytes,
            NOT $again AND coalesce(erased.of_whole OR (erased.of_speaker AND restart = 'decode')
                OR (erased.of_rows AND restart <> 'nothing'), false) AS is_erased
        FROM listed
        JOIN compared USING (position)
        LEFT JOIN audio USING (position)
        LEFT JOIN erased_audio AS erased USING (position)
        LEFT JOIN wanted ON wanted.recording_id = audio.recording_id
        LEFT JOIN reclustered
        ON reclustered.recording_id = audio.recording_id AND reclustered.heard_key = audio.heard_key
        LEFT JOIN internal.heard AS old
        ON old.recording_id = audio.recording_id AND old.heard_key = audio.heard_key
        WHERE verdict IN ('new', 'scored', 'again')
    )
    SELECT position, attempt, recording_id, heard_key, restart, needs_row, expected_ms, {PLANNED_MS} AS planned_ms,
        CASE
            WHEN is_erased THEN 'erased'
            WHEN restart = 'nothing' THEN CASE WHEN needs_row THEN 'known' ELSE 'done' END
            WHEN recording_id IS NULL THEN 'todo'
            WHEN row_number() OVER (
                PARTITION BY recording_id, heard_key ORDER BY {PLANNED_MS} DESC, corpus, uri) = 1 THEN 'todo'
            WHEN needs_row THEN 'copy'
            ELSE 'done'
        END AS place
    FROM placed
"""  # noqa: S608
"""What becomes of each file: the first of those with the same audio is worked on, the others follow it. A file whose
speakers were counted again, from the hearing that is wanted, keeps that count: its emotions and measures are the ones
compared. Audio that was erased is left alone (`erased`); of audio that has lost a speaker or some tables' rows, what
the lake has is used, and with `again` it is heard anew."""

_COLUMNS = "corpus, uri, root, size_bytes, modified, day, work.expected_ms, metadata, attempt, recording_id"
TODO_ROWS = f"""
    SELECT {_COLUMNS}, restart, needs_row, heard_key FROM work JOIN listed USING (position)
    WHERE place = 'todo' ORDER BY planned_ms DESC, corpus, uri
"""  # noqa: S608
COPY_ROWS = f"""
    SELECT {_COLUMNS}, place = 'known' AS is_known FROM work JOIN listed USING (position)
    WHERE place IN ('known', 'copy') ORDER BY recording_id, corpus, uri
"""  # noqa: S608
RECOUNTED = """
    SELECT count(*) FROM work JOIN audio USING (position) JOIN internal.heard AS heard
    ON heard.recording_id = audio.recording_id AND heard.heard_key = audio.heard_key
    WHERE work.needs_row AND place <> 'erased' AND heard.source_key IS NOT NULL
"""
"""Files whose speakers were counted again, from another hearing than the one that is wanted."""
INACTIVE = """
    SELECT corpus FROM (SELECT DISTINCT corpus FROM listed) JOIN internal.active AS active USING (corpus)
    WHERE active.scorer <> ? ORDER BY corpus
"""
COUNTS = """
    SELECT count(*) FILTER (place = 'done'), coalesce(sum(expected_ms) FILTER (place = 'done'), 0)::BIGINT,
        count(*) FILTER (place = 'erased')
    FROM work
"""


def plan_job(
    batches: Iterable[pa.RecordBatch],
    lake: Lake,
    keys: Keys,
    options: RunOptions | None = None,
    now: datetime | None = None,
    retried: Collection[ErrorCode] = (),
    *,
    erased: bool = False,
) -> Plan:
    """Compare a listing (batches of schema `tables.LISTED`) with the lake.

    Reads the bytes of files that may be copies, nothing else of any file. A lake that does not exist yet is empty.
    What was erased is left out, with `erased` it is taken as any other file. `now` decides which failures have waited
    long enough for another try (`options.max_retries`, `.retry_after_s`); those with a code in `retried` are tried
    again whatever these say.
    Raises `UsageError` for a corpus that cannot name a folder, `LakeError` for a damaged lake, `LedgerError` where
    files of the listing are lost.
    """
    options = options or RunOptions()
    with (
        TemporaryDirectory(prefix="mmer-plan-") as folder,
        connect_internal(lake, Spill(folder, PLAN_MEMORY_MB)) as connection,
    ):
        num_listed = _take_listing(connection, batches)
        num_repeated, example = _drop_repeated(connection)
        connection.execute(COMPARED, _parameters(keys, options, now or datetime.now(UTC), retried))
        num_decisions = find_decisions(connection)
        if num_decisions and not erased:
            mark_erased_files(connection, lake.key)
        find_wanted(connection, keys)
        connection.execute(AUDIO)
        hash_candidates(connection, lake.key)
        find_erased_audio(connection, lake.key, is_any=num_decisions > 0)
        connection.execute(WORK, {"heard": keys.heard, "again": erased})
        plan = replace(
            _plan(connection, keys),
            num_listed=num_listed,
            num_repeated=num_repeated,
            repeated_example=example,
            takes_erased=erased,
        )
    plan.check()
    return plan


def _plan(connection: duckdb.DuckDBPyConnection, keys: Keys) -> Plan:
    """The plan that the table `work` and those before it say, without what the listing was."""
    ((num_done, done_ms, num_erased),) = connection.execute(COUNTS).fetchall()
    ((num_recounted,),) = connection.execute(RECOUNTED).fetchall()
    verdicts = dict(connection.execute("SELECT verdict, count(*) FROM compared GROUP BY verdict").fetchall())
    return Plan(
        keys=keys,
        todo=connection.sql(TODO_ROWS).to_arrow_table().cast(TODO),
        copies=connection.sql(COPY_ROWS).to_arrow_table().cast(COPIES),
        num_done=num_done,
        done_ms=done_ms,
        num_known_failures=verdicts.get("failed", 0) + verdicts.get("waits", 0),
        num_waiting=verdicts.get("waits", 0),
        num_recounted=num_recounted,
        num_erased=num_erased + verdicts.get("erased", 0),
        as_of=connection.execute("SELECT coalesce(max(sequence), 0) FROM commits").fetchall()[0][0],
        inactive_corpora=tuple(name for (name,) in connection.execute(INACTIVE, [keys.scorer]).fetchall()),
    )


def _take_listing(connection: duckdb.DuckDBPyConnection, batches: Iterable[pa.RecordBatch]) -> int:
    """Fill the table `listed`; `position` counts from 0."""
    connection.register("batch", LISTED.empty_table())
    connection.execute("CREATE TEMP TABLE listed AS SELECT 0::BIGINT AS position, * FROM batch")
    num_listed = 0
    for batch in batches:
        _require_folder_names(batch)
        positions = pa.array(range(num_listed, num_listed + batch.num_rows), pa.int64())
        columns = [positions, *(batch.column(name) for name in LISTED.names)]
        connection.register("batch", pa.Table.from_arrays(columns, names=["position", *LISTED.names]))
        connection.execute("INSERT INTO listed SELECT * FROM batch")
        num_listed += batch.num_rows
    connection.unregister("batch")
    return num_listed


def _require_folder_names(batch: pa.RecordBatch) -> None:
    for corpus in batch.column("corpus").unique():
        name = str(corpus)
        if not is_corpus(name):
            example = batch.column("uri")[batch.column("corpus").index(corpus).as_py()]
            raise UsageError(
                f"corpus {name!r} of {example} cannot name a folder of the lake; "
                f"give a name of 1 to {MAX_CORPUS_BYTES} bytes (--corpus NAME)"
            )


def _drop_repeated(connection: duckdb.DuckDBPyConnection) -> tuple[int, str | None]:
    """Keep the first of each (corpus, uri); returns how many went, and one of their uris."""
    connection.execute(REPEATED)
    ((num_repeated, example),) = connection.execute(
        "SELECT coalesce(sum(num_more), 0)::BIGINT, min(uri) FROM repeated"
    ).fetchall()
    if num_repeated:
        connection.execute(DROP_REPEATED)
    return num_repeated, example


def _parameters(keys: Keys, options: RunOptions, now: datetime, retried: Collection[ErrorCode]) -> dict[str, object]:
    return {
        "decode": keys.decode,
        "limits": keys.limits,
        "retried": sorted(str(code) for code in retried),
        "retryable": sorted(str(code) for code in RETRYABLE),
        "limit_codes": sorted(str(code) for code in LIMIT_CODES),
        "max_retries": options.max_retries,
        "retry_after_s": options.retry_after_s,
        "now": now,
    }
