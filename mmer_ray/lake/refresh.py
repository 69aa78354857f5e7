"""A lake's next moment, made of the one before: by commit, without reading what is known again.

Rows are only ever added, so what counts of them (`visibility.NEWEST`) is what counted, but for the keys that new
commits name. Where files were rewritten, by compaction or erasure, everything is read anew.
"""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import duckdb

from mmer_ray.lake.changing import State, while_it_changes
from mmer_ray.lake.table_rows import RowFile, columns_in, committed_view, row_files, rows_of
from mmer_ray.lake.views import (
    Moment,
    closed_on_error,
    committed_files,
    list_files,
    make_public,
    make_rows,
    moment_now,
    new_connection,
    require_whole,
    shut,
)
from mmer_ray.lake.visibility import ACTIVE_OF_VERSION_1, NEWEST, shown

if TYPE_CHECKING:
    from mmer_ray.lake.store import Lake

FOLLOWED = ("commits", "recordings", "results", "calls", "active_scorers")
"""Tables whose rows are remembered: of `NEWEST` and `commits`."""
KEYS = {
    "current": "corpus, uri",
    "heard": "recording_id, heard_key",
    "felt": "recording_id, heard_key, scorer",
    "active": "corpus",
}
KEPT = {"heard": "source_key", "felt": "emotions_commit"}
"""Columns that a later commit may leave open: then the earlier one's value counts."""

TOUCHED = """
    CREATE TEMP TABLE touched AS
    SELECT recording_id FROM fresh.current
    UNION SELECT known.recording_id FROM known_current AS known SEMI JOIN fresh.current USING (corpus, uri)
    UNION SELECT recording_id FROM fresh.heard
    UNION SELECT recording_id FROM fresh.felt
    UNION SELECT recording_id FROM internal.current SEMI JOIN fresh.active USING (corpus)
"""
"""The recordings whose row in `internal.shown` may be another one now."""


def next_moment(lake: Lake, before: Moment, settings: Mapping[str, str] | None = None) -> Moment:
    """The lake as it is now: `before` itself where nothing happened since.

    The earlier connection stays open and as it is. Raises `LakeError` for a damaged lake.
    """
    if lake.versions() == before.versions:
        return before
    made = while_it_changes(lake, lambda state: _followed(lake, before, state, settings))
    return moment_now(lake, settings) if made is None else made


def _followed(lake: Lake, before: Moment, state: State, settings: Mapping[str, str] | None) -> Moment | None:
    """The next moment, or None where it must be read anew."""
    if state.removal is not None:
        return None
    listed = list_files(lake)
    versions = lake.known_versions()
    for name in FOLLOWED:
        if not {one.file.path for one in before.files[name]} <= {file.path for file in listed[name]}:
            return None
    connection = new_connection(lake, listed, settings)
    with closed_on_error(connection, lake.address):
        old = {one.file.path for one in before.files["commits"]}
        more = [file for file in listed["commits"] if file.path not in old]
        new = row_files("commits", more, columns_in(connection, more))
        _remember(connection, before)
        connection.execute(f"CREATE TABLE commits AS FROM known_commits UNION ALL {rows_of('commits', new)}")
        last = _last_sequence(connection)
        if last is None:
            connection.close()
            return None
        files = {"commits": [*before.files["commits"], *new]}
        files |= committed_files(connection, listed, before.files)
        make_rows(connection, files)
        require_whole(connection, lake.address, files, last)
        _merge(connection, {name: _added(files[name], before.files[name]) for name in FOLLOWED})
        for name in ("commits", *NEWEST, "shown"):
            connection.unregister(f"known_{name}")
        make_public(connection, listed)
        shut(connection)
    return Moment(connection, versions, files)


def _remember(connection: duckdb.DuckDBPyConnection, before: Moment) -> None:
    """Make `known_<name>` of the earlier moment's tables."""
    known = before.connection.cursor()
    for name in ("commits", *(f"internal.{one}" for one in (*NEWEST, "shown"))):
        connection.register(f"known_{name.removeprefix('internal.')}", known.sql(f"FROM {name}").to_arrow_table())


def _last_sequence(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The number of the last commit that is known; None where a new one is not after it, or was written by the code of
    version 1."""
    ((last, is_after),) = connection.execute(
        """
        WITH known AS (SELECT coalesce(max(sequence), 0) AS last FROM known_commits)
        SELECT any_value(last), coalesce(bool_and(sequence > last AND num_results IS NOT NULL), true)
        FROM known LEFT JOIN (FROM commits ANTI JOIN known_commits USING (commit_id)) ON true
        """
    ).fetchall()
    return int(last) if is_after else None


def _added(files: Sequence[RowFile], before: Sequence[RowFile]) -> list[RowFile]:
    known = {one.file.path for one in before}
    return [one for one in files if one.file.path not in known]


def _merge(connection: duckdb.DuckDBPyConnection, added: Mapping[str, Sequence[RowFile]]) -> None:
    """Make the tables of `NEWEST` and `internal.shown` of what is known and of the rows in these files."""
    connection.execute("CREATE SCHEMA fresh")
    for name in ("recordings", "results", "calls", "active_scorers"):
        connection.execute(committed_view(name, added[name], "fresh"))
    connection.execute("CREATE VIEW fresh.results AS FROM fresh.results_as_heard")
    for name, statement in NEWEST.items():
        keys = KEYS[name]
        connection.execute(f"CREATE TABLE fresh.{name} AS {statement('fresh')}")
        if name in KEPT:
            equal = " AND ".join(f"fresh.{name}.{key} = known.{key}" for key in keys.split(", "))
            connection.execute(
                f"UPDATE fresh.{name} SET {KEPT[name]} = known.{KEPT[name]} FROM known_{name} AS known "
                f"WHERE {equal} AND fresh.{name}.{KEPT[name]} IS NULL"
            )
        connection.execute(
            f"CREATE TABLE internal.{name} AS FROM known_{name} ANTI JOIN fresh.{name} USING ({keys}) "
            f"UNION ALL BY NAME FROM fresh.{name}"
        )
    connection.execute(ACTIVE_OF_VERSION_1)
    connection.execute(TOUCHED)
    connection.execute(
        "CREATE TABLE internal.shown AS FROM known_shown ANTI JOIN touched USING (recording_id) "
        f"UNION ALL BY NAME ({shown('recording_id IN (FROM touched)')})"
    )
    connection.execute("DROP TABLE touched")
    connection.execute("DROP SCHEMA fresh CASCADE")
