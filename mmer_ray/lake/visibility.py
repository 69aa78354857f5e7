"""What of a lake is visible, all of it in this file.

- A row exists once its commit is listed in `commits`; the views of `internal` hold no other rows.
- Of a (corpus, uri) the newest row of `recordings` counts: `internal.current`.
- A current, scored row names results by (recording_id, heard_key). Of results, emotions and measures that were written
  twice the newest count: `internal.heard`, `internal.felt`.
- Each corpus sees the results that its own recordings name, and the active scorer that it was given:
  `internal.shown`, one row per (corpus, recording_id).

Rows of version 1 have no heard_key; there the results belong to a commit, whose name takes its place: it never equals
a key that is wanted. Their active scorer is the one that answered last, as it was.
"""

# The statements are put together from constants and from the paths in the commit log.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from mmer_ray.tables import SCHEMAS, V1_COLUMNS, partition_columns

if TYPE_CHECKING:
    from mmer_ray.lake.store import DataFile
    from mmer_ray.stages.keys import Keys

RESULTS_OF_VERSION_1 = """
    SELECT recording_id, corpus, month, day, result_commit_id AS heard_key, duration_ms, channels, sample_rate_hz,
        codec, container, list_filter(flags, lambda flag: flag <> 'mislabelled') AS flags, speech_ms, non_speech_ms,
        overlap_ms, num_speakers, language, language_p, run_id, commit_id
    FROM internal.recordings WHERE status = 'scored' AND result_commit_id = commit_id AND NOT is_copy
"""

CURRENT = """
    CREATE TABLE internal.current AS
    SELECT corpus, uri, unnest(max_by(
        {commit_id: commit_id, recording_id: recording_id, status: status, heard_key: heard_key, day: day, month: month,
         size_bytes: size_bytes, modified: modified, attempts: attempts, error_code: error_code,
         decode_key: decode_key, limits_key: limits_key, sequence: sequence,
         of_version_1: result_commit_id IS NOT NULL},
        sequence))
    FROM internal.recordings JOIN (SELECT commit_id, sequence FROM commits) USING (commit_id)
    GROUP BY corpus, uri
"""
"""The newest committed row of each (corpus, uri)."""

HEARD = """
    CREATE TABLE internal.heard AS
    SELECT recording_id, heard_key, max_by(commit_id, sequence) AS commit_id,
        max_by(duration_ms, sequence) AS duration_ms, max(source_key) AS source_key
    FROM internal.results JOIN (SELECT commit_id, sequence FROM commits) USING (commit_id)
    GROUP BY recording_id, heard_key
"""
"""Which commit holds the results of audio under a key, and the hearing that they were made of, if they were."""

FELT = """
    CREATE TABLE internal.felt AS
    SELECT recording_id, heard_key, scorer, unnest(max_by(
            {calls_commit: commit_id, emotion_key: emotion_key, link_key: link_key, channel_roles: channel_roles,
             sequence: sequence}, sequence)),
        max_by(commit_id, sequence) FILTER (has_emotions) AS emotions_commit
    FROM internal.calls JOIN (SELECT commit_id, sequence FROM commits) USING (commit_id)
    GROUP BY recording_id, heard_key, scorer
"""
"""Which commits hold a scorer's emotions for what was heard, and the measures that were made from them."""

ACTIVE = """
    CREATE TABLE internal.active AS
    SELECT corpus, max_by(scorer, sequence) AS scorer
    FROM internal.active_scorers JOIN (SELECT commit_id, sequence FROM commits) USING (commit_id)
    GROUP BY corpus
"""
"""The emotion model that each corpus follows."""

ACTIVE_OF_VERSION_1 = (
    "CREATE TABLE internal.active_of_version_1 AS "
    "SELECT max_by(scorer, sequence) AS scorer FROM commits WHERE num_results IS NULL AND scorer IS NOT NULL"
)

SHOWN = """
    CREATE TABLE internal.shown AS
    WITH named AS (
        SELECT corpus, recording_id, unnest(max_by(
            {heard_key: heard_key, day: day, month: month, of_version_1: of_version_1}, sequence))
        FROM internal.current WHERE status = 'scored'
        GROUP BY corpus, recording_id
    ), followed AS (
        SELECT named.corpus, named.recording_id, named.heard_key, named.day, named.month,
            heard.commit_id AS heard_commit, CASE
            WHEN of_version_1 AND own.scorer IS NULL THEN (SELECT scorer FROM internal.active_of_version_1)
            ELSE active.scorer
        END AS active_scorer
        FROM named
        JOIN internal.heard AS heard USING (recording_id, heard_key)
        LEFT JOIN internal.active AS active USING (corpus)
        LEFT JOIN internal.felt AS own ON own.recording_id = named.recording_id AND own.heard_key = named.heard_key
            AND own.scorer = active.scorer
    )
    SELECT followed.*, felt.scorer, felt.calls_commit, felt.channel_roles
    FROM followed LEFT JOIN internal.felt AS felt USING (recording_id, heard_key)
    QUALIFY row_number() OVER (
        PARTITION BY corpus, recording_id
        ORDER BY (felt.scorer = active_scorer) DESC NULLS LAST, felt.sequence DESC NULLS LAST, felt.scorer
    ) = 1
"""
"""What each corpus sees of each recording: which results, the active scorer, and whose measures (`scorer`): the active
scorer's, or those of the one that answered last where it has not answered. A corpus in which two files with the same
bytes name different results sees those named last. Day and month are those of the corpus's own file."""

_OF_CORPUS = "shown.corpus AS corpus, shown.month AS month, shown.day AS day"
_OF_SHOWN = """
    JOIN internal.shown AS shown
    ON shown.recording_id = part.recording_id AND shown.heard_key = part.heard_key
"""

VIEWS = {
    "recordings": """
        SELECT part.* EXCLUDE (duration_ms, channels, sample_rate_hz, codec, container, speech_ms, non_speech_ms,
                overlap_ms, num_speakers, language, language_p, result_commit_id)
            REPLACE (list_sort(list_distinct(list_concat(part.flags, coalesce(found.flags, [])))) AS flags),
            coalesce(found.duration_ms, part.duration_ms) AS duration_ms,
            coalesce(found.channels, part.channels) AS channels,
            coalesce(found.sample_rate_hz, part.sample_rate_hz) AS sample_rate_hz,
            coalesce(found.codec, part.codec) AS codec,
            coalesce(found.container, part.container) AS container,
            coalesce(found.speech_ms, part.speech_ms) AS speech_ms,
            coalesce(found.non_speech_ms, part.non_speech_ms) AS non_speech_ms,
            coalesce(found.overlap_ms, part.overlap_ms) AS overlap_ms,
            coalesce(found.num_speakers, part.num_speakers) AS num_speakers,
            coalesce(found.language, part.language) AS language,
            CASE WHEN coalesce(found.language, part.language) IS NOT NULL
                THEN coalesce(found.language_p, part.language_p) END AS language_p
        FROM internal.recordings AS part
        SEMI JOIN internal.current USING (corpus, uri, commit_id)
        LEFT JOIN (FROM internal.results SEMI JOIN internal.heard USING (recording_id, heard_key, commit_id)) AS found
        ON part.status = 'scored' AND found.recording_id = part.recording_id AND found.heard_key = part.heard_key
    """,
    "results": f"SELECT part.* REPLACE ({_OF_CORPUS}) FROM internal.results AS part {_OF_SHOWN}"
    " AND shown.heard_commit = part.commit_id",
    "utterances": f"""
        SELECT part.* REPLACE (
            {_OF_CORPUS},
            coalesce(CASE WHEN part.speaker_is_channel THEN shown.channel_roles[part.channel + 1] END, part.role)
                AS role
        ) FROM internal.utterances AS part {_OF_SHOWN} AND shown.heard_commit = part.commit_id
    """,
    "words": f"SELECT part.* REPLACE ({_OF_CORPUS}) FROM internal.words AS part {_OF_SHOWN}"
    " AND shown.heard_commit = part.commit_id",
    "turns": f"SELECT part.* REPLACE ({_OF_CORPUS}) FROM internal.turns AS part {_OF_SHOWN}"
    " AND shown.heard_commit = part.commit_id",
    "pieces": f"SELECT part.* REPLACE ({_OF_CORPUS}) FROM internal.pieces AS part {_OF_SHOWN}"
    " AND shown.heard_commit = part.commit_id",
    "emotions": f"""
        SELECT part.* REPLACE ({_OF_CORPUS}) FROM internal.emotions AS part {_OF_SHOWN}
        LEFT JOIN internal.felt AS felt
        ON felt.recording_id = part.recording_id AND felt.heard_key = part.heard_key AND felt.scorer = part.scorer
        WHERE part.commit_id = coalesce(felt.emotions_commit, part.commit_id)
    """,
    "active_emotions": """
        SELECT part.* FROM emotions AS part SEMI JOIN internal.shown AS shown
        ON shown.corpus = part.corpus AND shown.recording_id = part.recording_id
            AND shown.active_scorer = part.scorer
    """,
    "calls": f"SELECT part.* REPLACE ({_OF_CORPUS}) FROM internal.calls AS part {_OF_SHOWN}"
    " AND shown.scorer = part.scorer AND shown.calls_commit = part.commit_id",
    "active_scorers": """
        SELECT * FROM internal.active_scorers SEMI JOIN commits USING (commit_id)
        QUALIFY row_number() OVER (PARTITION BY corpus ORDER BY activated_at DESC) = 1
    """,
    "speaker_edits": f"SELECT part.* REPLACE ({_OF_CORPUS}) FROM internal.speaker_edits AS part {_OF_SHOWN}",
    "erasures": "SELECT * FROM internal.erasures",
    "runs": """
        SELECT * EXCLUDE (num_copied, fingerprints) REPLACE (coalesce(num_copies, num_copied) AS num_copies,
            coalesce(keys, fingerprints) AS keys)
        FROM internal.runs
        QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY status = 'started', written_at DESC) = 1
    """,
}
"""What readers may name beside `commits`. `calls` has one row per recording; `emotions` has every scorer's answers."""


_MISSING = """
    SELECT heard.recording_id, heard.heard_key, heard.duration_ms, CASE
            WHEN felt.emotion_key IS DISTINCT FROM $emotion THEN 'emotion'
            WHEN felt.link_key IS DISTINCT FROM $link OR felt.channel_roles IS DISTINCT FROM $roles::VARCHAR[]
                THEN 'link'
            ELSE 'nothing'
        END AS missing
    FROM internal.heard AS heard
    LEFT JOIN internal.felt AS felt
    ON felt.recording_id = heard.recording_id AND felt.heard_key = heard.heard_key AND felt.scorer = $scorer
"""
WANTED = f"CREATE OR REPLACE TEMP TABLE wanted AS {_MISSING} WHERE heard.heard_key = $heard"
RECLUSTERED = f"CREATE OR REPLACE TEMP TABLE reclustered AS {_MISSING} WHERE heard.source_key = $heard"


def find_wanted(connection: duckdb.DuckDBPyConnection, keys: Keys) -> None:
    """Make the table `wanted`: the audio that was heard under these keys (recording_id, heard_key, duration_ms) and the
    first step that it lacks (`missing`: `emotion`, `link` or `nothing`); and the table `reclustered`, the same of what
    was made of such a hearing."""
    names = ("emotion", "link", "scorer", "heard")
    roles = {"roles": list(keys.channel_roles)}
    for statement in (WANTED, RECLUSTERED):
        connection.execute(statement, {name: getattr(keys, name) for name in names} | roles)


def with_commits(connection: duckdb.DuckDBPyConnection, files: Iterable[DataFile]) -> list[DataFile]:
    """The same files; where the log does not name a file's commits, its own footer does."""
    known = list(files)
    unknown = [file.path for file in known if file.first_commit is None]
    if not unknown:
        return known
    footers = """
        SELECT file_name, min(stats_min_value), max(stats_max_value) FROM parquet_metadata($paths)
        WHERE path_in_schema = 'commit_id' GROUP BY file_name
    """
    found = {path: (first, last) for path, first, last in connection.execute(footers, {"paths": unknown}).fetchall()}
    return [
        replace(file, first_commit=found[file.path][0], last_commit=found[file.path][1]) if file.path in found else file
        for file in known
    ]


def committed(files: Iterable[DataFile], commit_ids: Collection[str]) -> list[DataFile]:
    """The files that hold a finished commit: a torn commit's files are never opened, so no query can reach them. Of a
    file with several commits the rows are told apart one by one."""
    return [file for file in files if file.first_commit != file.last_commit or file.first_commit in commit_ids]


def committed_view(
    connection: duckdb.DuckDBPyConnection, name: str, paths: Sequence[str], hidden: str | None = None
) -> str:
    """The statement that makes `internal.<name>`: a table's rows of finished commits, those of version 1 in the form
    of today. `hidden` is a condition on the rows, called `part`, that nobody sees any longer."""
    rows = _rows(connection, name, paths)
    if hidden is not None:
        rows = f"SELECT * FROM ({rows}) AS part WHERE NOT {hidden}"
    source = f"({rows}) AS part SEMI JOIN commits USING (commit_id)"
    match name:
        case "runs":
            query = rows
        case "recordings":
            query = f"SELECT * REPLACE (coalesce(heard_key, result_commit_id) AS heard_key) FROM {source}"
        case "results":
            query = f"SELECT * FROM {source} UNION ALL BY NAME {RESULTS_OF_VERSION_1}"
        case "calls":
            query = (
                "SELECT part.* REPLACE (coalesce(part.heard_key, commit_id) AS heard_key, "
                "coalesce(part.has_emotions, true) AS has_emotions, "
                "coalesce(part.scorer, commits.scorer, '') AS scorer) "
                f"FROM ({rows}) AS part JOIN commits USING (commit_id)"
            )
        case "active_scorers" | "erasures":
            query = f"SELECT * FROM {source}"
        case _:
            query = f"SELECT * REPLACE (coalesce(heard_key, commit_id) AS heard_key) FROM {source}"
    return f"CREATE VIEW internal.{name} AS {query}"


def commits_table(connection: duckdb.DuckDBPyConnection, paths: Sequence[str]) -> str:
    """The statement that makes `commits`."""
    return f"CREATE TABLE commits AS {_rows(connection, 'commits', paths)}"


def stored_view(connection: duckdb.DuckDBPyConnection, name: str, paths: Sequence[str], stored: pa.Schema) -> str:
    """The statement that makes `stored.<name>`: a table's rows as they lie in these files, those of torn commits among
    them. It has the columns of `stored`, the table's own, and those that it lacks of `SCHEMAS`."""
    known = {field.name for field in (*SCHEMAS[name], *V1_COLUMNS.get(name, ()))}
    more = [field for field in stored if field.name not in known]
    return f"CREATE VIEW stored.{name} AS {_rows(connection, name, paths, more)}"


def _rows(
    connection: duckdb.DuckDBPyConnection, name: str, paths: Sequence[str], more: Sequence[pa.Field[Any]] = ()
) -> str:
    """A table's rows in these files, typed and whole: columns that no file has are null."""
    fields = [*SCHEMAS[name], *V1_COLUMNS.get(name, ()), *more]
    if not paths:
        nothing = ", ".join(f"NULL::{sql_type(field.type)} AS {field.name}" for field in fields)
        return f"SELECT {nothing} WHERE false"
    partitions = partition_columns(name)
    types = ", ".join(f"{quoted(column)}: VARCHAR" for column in partitions)
    hive = f"hive_partitioning = true, hive_types = {{{types}}}" if partitions else "hive_partitioning = false"
    # A view takes no bound parameters, so the paths, which come from the commit log, stand in it as literals.
    listed = ", ".join(map(quoted, paths))
    source = f"read_parquet([{listed}], union_by_name = true, {hive})"
    present = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    columns = ", ".join(
        f"{field.name if field.name in present else f'NULL::{sql_type(field.type)}'} AS {field.name}"
        for field in fields
    )
    return f"SELECT {columns} FROM {source}"


def sql_type(data_type: pa.DataType) -> str:
    """DuckDB's name of a column's type.

    >>> sql_type(pa.map_(pa.string(), pa.float32()))
    'MAP(VARCHAR, FLOAT)'
    """
    if pa.types.is_map(data_type):
        return f"MAP({sql_type(data_type.key_type)}, {sql_type(data_type.item_type)})"
    if pa.types.is_list(data_type):
        return f"{sql_type(data_type.value_type)}[]"
    return _SQL_TYPES[data_type]


_SQL_TYPES = {
    pa.string(): "VARCHAR",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.binary(): "BLOB",
    pa.date32(): "DATE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP WITH TIME ZONE",
}


def quoted(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("'", "''") + "'"
