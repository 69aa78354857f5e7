"""The tables that dashboards read most, and views of the same names that never say anything else than the others.

Compaction stores `serving_utterances` and `day_rollup` and, in `serving_sources`, a digest of all that decided the rows
of each recording: which hearing, whose emotions, whose measures, which speaker edits, in which commits. A reader
compares these with what it sees now. Recordings that have changed are left out of the stored rows and computed anew,
days with such recordings are summed up anew; where nothing changed the view is the plain table.

The three are written one after the other, a partition (corpus and month) at a time. A partition counts where all three
come from the same build and have the rows that `serving_sources` says; else it is computed. So a kill in between, a
reader that comes meanwhile, and rows that were erased from one of them change nothing of what is read.
"""

# The statements are put together from constants and from the paths in the commit log.
# ruff: noqa: S608

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import duckdb

from mmer_ray.lake.visibility import VIEWS, quoted
from mmer_ray.tables import SCHEMAS, SUMMED

if TYPE_CHECKING:
    from mmer_ray.lake.table_log import DataFile

SERVING_VERSION = "1"
"""Raised when the rows that are made of the same sources change."""

Place = tuple[str, str]
"""Corpus and month."""

_FROM_EMOTIONS = SCHEMAS["serving_utterances"].names[SCHEMAS["serving_utterances"].names.index("scorer") : -1]
_FROM_UTTERANCES = SCHEMAS["serving_utterances"].names[: -len(_FROM_EMOTIONS) - 1]
_UTTERANCE_COLUMNS = ", ".join([*_FROM_UTTERANCES, *_FROM_EMOTIONS])
_DAY_COLUMNS = ", ".join(SCHEMAS["day_rollup"].names[:-1])
_SOURCE_COLUMNS = ", ".join(SCHEMAS["serving_sources"].names[:-1])

SOURCES = f"""
    CREATE OR REPLACE VIEW internal.sources AS
    SELECT shown.corpus, shown.recording_id, shown.month, shown.day, md5(concat_ws('|', '{SERVING_VERSION}',
        shown.heard_key, shown.heard_commit, coalesce(shown.active_scorer, ''), coalesce(felt.emotions_commit, ''),
        coalesce(shown.scorer, ''), coalesce(shown.calls_commit, ''), coalesce(edits.edits, ''))) AS source
    FROM internal.shown AS shown
    LEFT JOIN internal.felt AS felt ON felt.recording_id = shown.recording_id AND felt.heard_key = shown.heard_key
        AND felt.scorer = shown.active_scorer
    LEFT JOIN (
        SELECT recording_id, heard_key, string_agg(edit_id, ',' ORDER BY edit_id) AS edits
        FROM internal.speaker_edits GROUP BY ALL
    ) AS edits ON edits.recording_id = shown.recording_id AND edits.heard_key = shown.heard_key
"""
"""What each recording's rows are made of now, as each corpus sees it."""

BUILT = """
    CREATE OR REPLACE TABLE internal.built AS
    SELECT corpus, recording_id, month, day, source, num_utterances, build_id FROM {files}
"""
BUILT_DAYS = f"CREATE OR REPLACE TABLE internal.built_days AS SELECT {_DAY_COLUMNS}, build_id FROM {{files}}"

CHANGED = """
    CREATE OR REPLACE TABLE internal.changed AS
    SELECT coalesce(now.corpus, built.corpus) AS corpus, coalesce(now.recording_id, built.recording_id) AS recording_id,
        now.month, now.day, built.month AS built_month, built.day AS built_day
    FROM internal.sources AS now
    FULL JOIN internal.built AS built ON built.corpus = now.corpus AND built.recording_id = now.recording_id
    WHERE built.source IS DISTINCT FROM now.source OR built.day IS DISTINCT FROM now.day
"""
"""Recordings whose stored rows do not count: changed, new or gone."""
CHANGED_SHOWN = """
    CREATE OR REPLACE TABLE internal.changed_shown AS
    FROM internal.shown SEMI JOIN internal.changed USING (corpus, recording_id)
"""
CHANGED_DAYS = """
    CREATE OR REPLACE TABLE internal.changed_days AS
    SELECT corpus, day FROM internal.changed WHERE day IS NOT NULL
    UNION
    SELECT corpus, built_day FROM internal.changed WHERE built_day IS NOT NULL
    UNION
    SELECT corpus, day FROM (
        SELECT corpus, day, num_utterances FROM internal.built
        UNION ALL
        SELECT corpus, day, -num_utterances FROM internal.built_days
    ) GROUP BY corpus, day HAVING sum(num_utterances) <> 0
"""
"""Days whose stored sums do not count."""

DROP_CHANGED_DAYS = """
    DELETE FROM internal.built_days AS old USING internal.changed_days AS gone
    WHERE old.corpus = gone.corpus AND old.day = gone.day
"""
REPLACED = "SELECT min(built_day), max(built_day) FROM internal.changed WHERE built_day IS NOT NULL"

_SUMS = ", ".join(
    f"count({name}) AS num_{name}, coalesce(sum(round({name} * 1000)::BIGINT), 0)::DOUBLE / 1000 AS {name}_sum"
    for name in SUMMED
)
_ALL_ROWS = "serving_utterances"
DAYS = f"""
    SELECT corpus, month, day, role, scorer, label, count(*) AS num_utterances,
        sum(end_ms - start_ms)::BIGINT AS speech_ms, coalesce(sum(num_words), 0)::BIGINT AS num_words,
        coalesce(sum(overlap_ms), 0)::BIGINT AS overlap_ms, {_SUMS}
    FROM {_ALL_ROWS} GROUP BY ALL
"""
"""The sums of all days, of whole thousandths as scores are kept: the same in whatever order rows come."""


def day_sums(rows: str) -> str:
    """The query that sums up these rows, an expression of SQL with the columns of `serving_utterances`."""
    return DAYS.replace(_ALL_ROWS, rows)


DAY_CALLS = """
    CREATE OR REPLACE VIEW day_calls AS
    SELECT corpus, month, day, coalesce(num_calls, 0) AS num_calls, coalesce(duration_ms, 0) AS duration_ms,
        coalesce(num_files, 0) AS num_files, coalesce(num_failed, 0) AS num_failed
    FROM (
        SELECT shown.corpus, shown.month, shown.day, count(*) AS num_calls,
            sum(heard.duration_ms)::BIGINT AS duration_ms
        FROM internal.shown AS shown JOIN internal.heard AS heard USING (recording_id, heard_key) GROUP BY ALL
    ) FULL JOIN (
        SELECT corpus, month, day, count(*) AS num_files, count(*) FILTER (status = 'failed') AS num_failed
        FROM internal.current GROUP BY ALL
    ) USING (corpus, month, day)
"""
"""Per day and corpus: recordings that are shown, each audio once, and their length; files, and those that failed."""


def add_serving_views(connection: duckdb.DuckDBPyConnection, files: Mapping[str, Sequence[DataFile]]) -> None:
    """Make the views `serving_utterances`, `day_rollup`, `serving_sources` and `day_calls`.

    `files` are those of the derived tables. `connection` has the lake's other views, and may open files still.
    """
    whole = _whole_places(connection, files)
    # The largest first, as in `table_rows.rows_of`.
    ranked = {name: sorted(some, key=lambda file: -file.num_bytes) for name, some in files.items()}
    kept = {name: [file.path for file in some if (file.corpus, file.month) in whole] for name, some in ranked.items()}
    _allow(connection, [path for paths in kept.values() for path in paths])
    connection.execute(SOURCES)
    for name, statement in (("serving_sources", BUILT), ("day_rollup", BUILT_DAYS)):
        connection.execute(statement.format(files=_rows(name, kept[name])))
    utterances, days = _live_rows("internal.shown"), DAYS
    # Where nothing is stored nothing is compared: opening such a lake costs no more than it did.
    if whole:
        compare(connection)
        connection.execute(DROP_CHANGED_DAYS)
        utterances, days = _utterances(connection, kept["serving_utterances"]), _days(connection)
    sources = f"SELECT {_SOURCE_COLUMNS} FROM internal.built"
    for name, query in (("serving_utterances", utterances), ("day_rollup", days), ("serving_sources", sources)):
        connection.execute(f"CREATE OR REPLACE VIEW {name} AS {query}")
    connection.execute(DAY_CALLS)
    _note_broken(connection, files, whole)


def compare(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables `internal.changed`, `.changed_shown` and `.changed_days`: what of the stored rows does not
    count."""
    for statement in (CHANGED, CHANGED_SHOWN, CHANGED_DAYS):
        connection.execute(statement)


def _whole_places(connection: duckdb.DuckDBPyConnection, files: Mapping[str, Sequence[DataFile]]) -> set[Place]:
    """The partitions of which all three tables hold the same build, and all its rows."""
    sources = [file.path for file in files["serving_sources"]]
    if not sources:
        return set()
    _allow(connection, sources)
    counted = connection.execute(
        "SELECT corpus, month, min(build_id), max(build_id), sum(num_utterances)::BIGINT "
        f"FROM {_rows('serving_sources', sources)} GROUP BY ALL"
    ).fetchall()
    builds: defaultdict[tuple[str | None, str | None], set[str | None]] = defaultdict(set)
    num_rows: defaultdict[tuple[str | None, str | None], int] = defaultdict(int)
    for name in ("serving_utterances", "day_rollup"):
        for file in files[name]:
            builds[file.corpus, file.month] |= {file.first_commit, file.last_commit}
            num_rows[file.corpus, file.month] += (file.num_rows or 0) if name == "serving_utterances" else 0
    return {
        (corpus, month)
        for corpus, month, first, last, num_utterances in counted
        if first == last and builds[corpus, month] <= {first} and num_rows[corpus, month] == num_utterances
    }


def _utterances(connection: duckdb.DuckDBPyConnection, paths: Sequence[str]) -> str:
    """The query that gives all utterances: stored rows that count, the others computed. Only those of days in which a
    recording changed are compared one by one."""
    parts = []
    rows = f"SELECT {_UTTERANCE_COLUMNS} FROM {_rows('serving_utterances', paths)}"
    ((first, last),) = connection.execute(REPLACED).fetchall()
    if first is None:
        parts.append(rows)
    else:
        days = f"DATE {quoted(str(first))} AND DATE {quoted(str(last))}"
        same_days = f"(SELECT * FROM ({rows}) WHERE day BETWEEN {days})"
        parts.append(f"SELECT * FROM ({rows}) WHERE day NOT BETWEEN {days}")
        parts.append(f"SELECT * FROM {same_days} ANTI JOIN internal.changed USING (corpus, recording_id)")
    ((num_changed,),) = connection.execute("SELECT count(*) FROM internal.changed_shown").fetchall()
    if num_changed:
        parts.append(_live_rows("internal.changed_shown"))
    return " UNION ALL ".join(parts)


def _live_rows(shown: str) -> str:
    """The query that computes the rows of the recordings in `shown`, a table like `internal.shown`."""
    said, felt = (VIEWS[name].replace("internal.shown", shown) for name in ("utterances", "emotions"))
    columns = [f"said.{name}" for name in _FROM_UTTERANCES] + [f"felt.{name}" for name in _FROM_EMOTIONS]
    return f"""
        SELECT {", ".join(columns)} FROM ({said}) AS said LEFT JOIN (
            SELECT felt.* FROM ({felt}) AS felt SEMI JOIN {shown} AS shown
            ON shown.corpus = felt.corpus AND shown.recording_id = felt.recording_id
                AND shown.active_scorer = felt.scorer
        ) AS felt
        ON felt.corpus = said.corpus AND felt.recording_id = said.recording_id
            AND felt.utterance_idx = said.utterance_idx
    """


def _days(connection: duckdb.DuckDBPyConnection) -> str:
    """The query that gives the sums of all days: those stored that count, the others computed."""
    stored = f"SELECT {_DAY_COLUMNS} FROM internal.built_days"
    ((first, last),) = connection.execute("SELECT min(day), max(day) FROM internal.changed_days").fetchall()
    if first is None:
        return stored
    days = f"day BETWEEN DATE {quoted(str(first))} AND DATE {quoted(str(last))}"
    rows = f"(SELECT * FROM serving_utterances WHERE {days}) SEMI JOIN internal.changed_days USING (corpus, day)"
    return f"{stored} UNION ALL {day_sums(rows)}"


def _note_broken(
    connection: duckdb.DuckDBPyConnection, files: Mapping[str, Sequence[DataFile]], whole: set[Place]
) -> None:
    """Make `internal.broken`: corpus and month of stored rows that do not count, as a compaction that was killed
    leaves."""
    places = {(file.corpus, file.month) for some in files.values() for file in some}
    connection.execute("CREATE OR REPLACE TABLE internal.broken (corpus VARCHAR, month VARCHAR)")
    for corpus, month in places - whole:
        connection.execute("INSERT INTO internal.broken VALUES ($corpus, $month)", {"corpus": corpus, "month": month})


def _rows(name: str, paths: Collection[str]) -> str:
    """What to read these files of a derived table with."""
    schema = SCHEMAS[name]
    if not paths:
        types = {"int32": "INTEGER", "int64": "BIGINT", "float": "FLOAT", "double": "DOUBLE", "date32[day]": "DATE"}
        columns = ", ".join(f"NULL::{types.get(str(field.type), 'VARCHAR')} AS {field.name}" for field in schema)
        return f"(SELECT {columns} WHERE false)"
    listed = ", ".join(map(quoted, paths))
    hive = "hive_partitioning = true, hive_types = {'corpus': VARCHAR, 'month': VARCHAR}"
    return f"read_parquet([{listed}], {hive})"


def _allow(connection: duckdb.DuckDBPyConnection, paths: Sequence[str]) -> None:
    """Let these files be read once access to others is off."""
    ((allowed,),) = connection.execute("SELECT current_setting('allowed_paths')").fetchall()
    connection.execute("SET allowed_paths = $paths", {"paths": [*allowed, *paths]})
