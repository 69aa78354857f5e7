"""The SQL that readers see: one view per table, over the files of the commit log, without torn or outdated rows."""

from __future__ import annotations

import duckdb

from mmer_ray.lake.store import Lake
from mmer_ray.tables import SCHEMAS, partition_columns

CURRENT = """
    CREATE TABLE _current AS
    SELECT corpus, uri, commit_id, recording_id, status, result_commit_id
    FROM _all_recordings JOIN commits USING (commit_id)
    QUALIFY row_number() OVER (PARTITION BY corpus, uri ORDER BY sequence DESC) = 1
"""
"""The newest committed row of each (corpus, uri)."""

RESULTS = """
    CREATE TABLE _results AS
    SELECT recording_id, max_by(result_commit_id, sequence) AS commit_id, max(sequence) AS sequence
    FROM _current JOIN commits ON commits.commit_id = result_commit_id
    WHERE status = 'scored'
    GROUP BY recording_id
"""
"""Which commit holds the utterances of each recording that is current somewhere. Audio that no file has any more
is not among them, nor are the older answers for audio that was scored again."""

ACTIVE_SCORER = (
    "CREATE TABLE _active AS SELECT max_by(scorer, sequence) AS scorer FROM commits WHERE scorer IS NOT NULL"
)

VIEWS = {
    "recordings": "SELECT * FROM _all_recordings SEMI JOIN _current USING (corpus, uri, commit_id)",
    "utterances": "SELECT * FROM _all_utterances SEMI JOIN _results USING (recording_id, commit_id)",
    "words": "SELECT * FROM _all_words SEMI JOIN _results USING (recording_id, commit_id)",
    # A later commit may add another scorer's answers to the same utterances; an earlier one belongs to older ones.
    "emotions": """
        SELECT answer.* FROM _all_emotions AS answer
        JOIN commits USING (commit_id)
        JOIN _results ON _results.recording_id = answer.recording_id AND commits.sequence >= _results.sequence
    """,
    "active_emotions": "SELECT * FROM emotions WHERE scorer = (SELECT scorer FROM _active)",
    "calls": """
        SELECT call.* FROM _all_calls AS call
        JOIN commits USING (commit_id)
        JOIN _results ON _results.recording_id = call.recording_id AND commits.sequence >= _results.sequence
        QUALIFY row_number() OVER (PARTITION BY call.recording_id ORDER BY commits.sequence DESC) = 1
    """,
    "runs": """
        SELECT * FROM _all_runs
        QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY status = 'started', written_at DESC) = 1
    """,
}

SAFE_SETTINGS = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "temp_directory": "",
}


def connect(lake: Lake) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with the lake's views, closed to every file but the lake's and to further settings."""
    # Commits first: the other tables, listed later, then hold at least the rows of every commit seen.
    names = ["commits", *(name for name in SCHEMAS if name != "commits")]
    files = {name: lake.files(name) for name in names}
    connection = duckdb.connect(":memory:", config=dict(SAFE_SETTINGS))
    connection.execute("SET TimeZone = 'UTC'")
    for name, paths in files.items():
        _everything(connection, name, paths)
    connection.execute("CREATE TABLE commits AS SELECT * FROM _all_commits")
    for statement in (CURRENT, RESULTS, ACTIVE_SCORER):
        connection.execute(statement)
    for name, query in VIEWS.items():
        connection.execute(f"CREATE VIEW {name} AS {query}")
    # The order matters: nothing can be allowed once outside access is off.
    connection.execute("SET allowed_paths = $paths", {"paths": [path for paths in files.values() for path in paths]})
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _everything(connection: duckdb.DuckDBPyConnection, name: str, paths: list[str]) -> None:
    """View `_all_<name>`: all rows that the table's log lists, of finished commits and torn ones."""
    schema = SCHEMAS[name]
    if not paths:
        connection.register("typed", schema.empty_table())
        connection.execute(f"CREATE TABLE _all_{name} AS SELECT * FROM typed")  # noqa: S608
        connection.unregister("typed")
        return
    partitions = partition_columns(name)
    types = ", ".join(f"{_quoted(column)}: VARCHAR" for column in partitions)
    hive = f"hive_partitioning = true, hive_types = {{{types}}}" if partitions else "hive_partitioning = false"
    # A view takes no bound parameters, so the paths, which come from the commit log, stand in it as literals.
    listed = ", ".join(_quoted(path) for path in paths)
    columns = ", ".join(schema.names)
    source = f"read_parquet([{listed}], {hive})"
    connection.execute(f"CREATE VIEW _all_{name} AS SELECT {columns} FROM {source}")  # noqa: S608


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
