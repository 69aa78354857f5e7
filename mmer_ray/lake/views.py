"""DuckDB connections with a lake's visible rows (`visibility.py`), closed to everything else."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import duckdb

from mmer_ray.errors import LakeError
from mmer_ray.lake.files import reading_files
from mmer_ray.lake.removal import WITH_AUDIO, Removal, goes, make_going, read_intent
from mmer_ray.lake.serving import add_serving_views
from mmer_ray.lake.visibility import (
    ACTIVE,
    ACTIVE_OF_VERSION_1,
    CURRENT,
    FELT,
    HEARD,
    SHOWN,
    VIEWS,
    commits_table,
    committed,
    committed_view,
    stored_view,
    with_commits,
)
from mmer_ray.sources.s3 import REMEDY
from mmer_ray.tables import SCHEMAS
from mmer_ray.tables import DERIVED_TABLES, SCHEMAS

if TYPE_CHECKING:
    from mmer_ray.lake.store import DataFile, Lake

SAFE_SETTINGS = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "temp_directory": "",
}


@dataclass(frozen=True, slots=True)
class Spill:
    """Where what does not fit the memory goes."""

    folder: str
    memory_mb: int

    @property
    def settings(self) -> dict[str, str]:
        return {"temp_directory": self.folder, "memory_limit": f"{self.memory_mb}MB"}


MOMENT_TRIES, MOMENT_PAUSE_S = 20, 0.25
"""Rows are removed in a few steps of less than a second each; a listing takes less than one, too."""
UNREADABLE = (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException)
"""What DuckDB raises for a file that is gone or is no Parquet."""
_COUNTED = [name for name in SCHEMAS if f"num_{name}" in SCHEMAS["commits"].names]


def connect(lake: Lake) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with the lake's views, closed to every file but the lake's and to further settings.

    Raises `LakeError` for a damaged lake.
    """
    connection = connect_to_build(lake)
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def connect_internal(
    lake: Lake, spill: Spill | None = None, *, require_whole: bool = True
) -> duckdb.DuckDBPyConnection:
def connect_to_build(lake: Lake, spill: Spill | None = None) -> duckdb.DuckDBPyConnection:
    """A connection for compaction: that of `connect_internal` with the lake's views. Nothing that a user types goes
    there. Raises `LakeError` for a damaged lake."""
    connection = connect_internal(lake, spill)
    try:
        with reading_files(lake.address):
            for statement in (ACTIVE_OF_VERSION_1, SHOWN):
                connection.execute(statement)
            for name, query in VIEWS.items():
                connection.execute(f"CREATE VIEW {name} AS {query}")
            add_serving_views(connection, {name: lake.files(name) for name in DERIVED_TABLES})
    except BaseException:
        connection.close()
        raise
    return connection


def connect_internal(lake: Lake, spill: Spill | None = None) -> duckdb.DuckDBPyConnection:
    """A connection for the planner and the writer: the tables `commits` and `internal.current`, `.heard`, `.felt`,
    `.active`, and the views of committed rows. Nothing that a user types goes there. With `spill` its memory is
    bounded. Raises `LakeError` for a damaged lake; unless it must be whole, rows may be gone."""
    for tries_left in reversed(range(MOMENT_TRIES)):
        before: _Moment | None = None
        try:
            before = _Moment.of(lake)
            connection = _connected(lake, before, spill, require_whole=require_whole)
        except LakeError:
            if not tries_left or not _is_changing(lake, before):
                raise
        else:
            if before.is_still(lake):
                return connection
            connection.close()
        time.sleep(MOMENT_PAUSE_S)
    raise LakeError(f"rows are being removed from the lake {lake.address}; try again when that is done")


@dataclass(frozen=True)
class _Moment:
    """What tells whether rows are removed while somebody reads: a removal lies there, or the files of `commits`, which
    are only added to otherwise, go."""

    removal: Removal | None
    commits: frozenset[str]

    @classmethod
    def of(cls, lake: Lake) -> _Moment:
        return cls(read_intent(lake.address), frozenset(file.path for file in lake.files("commits")))

    def is_still(self, lake: Lake) -> bool:
        now = _Moment.of(lake)
        return now.removal == self.removal and now.commits >= self.commits


def _is_changing(lake: Lake, before: _Moment | None) -> bool:
    """Whether an error may be due to a removal under way."""
    if read_intent(lake.address) is not None:
        return True
    return before is not None and not before.is_still(lake)


def _connected(lake: Lake, moment: _Moment, spill: Spill | None, *, require_whole: bool) -> duckdb.DuckDBPyConnection:
    # Commits first: the other tables, listed later, then hold at least the rows of every commit seen.
    names = ["commits", *(name for name in SCHEMAS if name not in ("commits", *DERIVED_TABLES))]
    listed = {name: lake.files(name) for name in names}
    connection, removal = _closed_connection(spill), moment.removal
    try:
        if not lake.is_local:
            connection.register_filesystem(reading_files(lake.address, chain.from_iterable(listed.values())))
        connection.execute("CREATE SCHEMA internal")
        files = _committed_files(connection, listed)
        hidden = removal is not None and _counts(connection, removal)
        if removal is not None and hidden:
            make_going(connection, removal)
        for name in (name for name in listed if name != "commits"):
            condition = goes(name) if hidden and name in WITH_AUDIO else None
            connection.execute(committed_view(connection, name, files[name], condition))
        # Set here, since nothing can be allowed once outside access is off.
        paths = [path for some in files.values() for path in some]
        connection.execute("SET allowed_paths = $paths", {"paths": paths})
        if require_whole:
            _require_whole(connection, lake.address, listed)
        for statement in (CURRENT, HEARD, FELT, ACTIVE):
            connection.execute(statement)
    except BaseException as exc:
        connection.close()
        if isinstance(exc, UNREADABLE) or is_of_store(exc):
            raise damaged(lake.address, exc) from exc
        raise
    return connection


def connect_stored(lake: Lake, spill: Spill) -> duckdb.DuckDBPyConnection:
    """A connection for who removes rows: the views `stored.<table>` of all rows that lie in the files of the newest
    versions. The lake is locked by the caller. Raises `LakeError`, `StoreError`."""
    connection = _closed_connection(spill)
    try:
        connection.execute("CREATE SCHEMA stored")
        listed = {name: lake.files(name) for name in SCHEMAS}
        if not lake.is_local:
            connection.register_filesystem(reading_files(lake.address, chain.from_iterable(listed.values())))
        for name, files in listed.items():
            stored = lake.schema(name) if files else SCHEMAS[name]
            connection.execute(stored_view(connection, name, [file.path for file in files], stored))
    except BaseException as exc:
        connection.close()
        if isinstance(exc, UNREADABLE):
            raise damaged(lake.address, exc) from exc
        raise
    return connection


def _closed_connection(spill: Spill | None) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config={**SAFE_SETTINGS, **(spill.settings if spill else {})})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET parquet_metadata_cache = true")
    return connection


def _counts(connection: duckdb.DuckDBPyConnection, removal: Removal) -> bool:
    """Whether the removal's commit is finished."""
    found = connection.execute("SELECT count(*) FROM commits WHERE commit_id = ?", [removal.commit_id]).fetchall()
    return found != [(0,)]


def damaged(address: str, exc: BaseException) -> LakeError:
@contextmanager
def reading_files(address: str) -> Iterator[None]:
    """Raise `LakeError` for what DuckDB raises where a file is gone or is no Parquet."""
    try:
        yield
    except UNREADABLE as exc:
        raise damaged(address, exc) from exc


def damaged(address: str, exc: duckdb.Error) -> LakeError:
    """What to raise where DuckDB cannot read a lake's own files."""
    if is_of_store(exc):
        reason = str(exc).strip().splitlines()[-1][:300]
        if not reason.startswith("FileNotFoundError"):
            return LakeError(f"the lake {address} cannot be read: {reason}; {REMEDY}")
    else:
        reason = str(exc).splitlines()[0][:300]
    return LakeError(f"the lake {address} is damaged: {reason}; restore it from a copy")


def is_of_store(exc: BaseException) -> bool:
    """Whether DuckDB passes on what its file system raised (`files.reading_files`): a traceback in an error without a
    kind of its own."""
    return type(exc) is duckdb.Error


def _committed_files(
    connection: duckdb.DuckDBPyConnection, listed: dict[str, list[DataFile]]
) -> Mapping[str, Sequence[str]]:
    """Table -> paths of its finished commits' files. Makes `commits`; `listed` learns which commits a file holds."""
    connection.execute(commits_table(connection, [file.path for file in listed["commits"]]))
    commit_ids = {commit_id for (commit_id,) in connection.execute("SELECT commit_id FROM commits").fetchall()}
    for name in listed:
        if "commit_id" in SCHEMAS[name].names and name != "commits":
            listed[name] = committed(with_commits(connection, listed[name]), commit_ids)
    return {name: [file.path for file in some] for name, some in listed.items()}


def _require_whole(
    connection: duckdb.DuckDBPyConnection, address: str, listed: Mapping[str, Sequence[DataFile]]
) -> None:
    """Raise `LakeError` where a commit's rows are gone: an emptied entry of a table's log reads as one that adds
    nothing, a lost table as one that was never written."""
    for name in _COUNTED:
        wanted = connection.execute(f"SELECT commit_id FROM commits WHERE num_{name} > 0").fetchall()  # noqa: S608
        held = {file.first_commit for file in listed[name]}
        several = [file for file in listed[name] if file.first_commit != file.last_commit]
        for (commit_id,) in wanted:
            if commit_id not in held and not any(_may_hold(file, commit_id) for file in several):
                raise LakeError(
                    f"the lake {address} is damaged: the {name} of commit {commit_id} are gone; restore it from a copy"
                )
    finished = "SELECT count(*) FROM internal.runs WHERE status = 'finished' AND num_scored + num_failed > 0"
    if not listed["commits"] and connection.execute(finished).fetchall() != [(0,)]:
        raise LakeError(f"the lake {address} is damaged: its commits are gone; restore it from a copy")


def _may_hold(file: DataFile, commit_id: str) -> bool:
    return (file.first_commit or "") <= commit_id <= (file.last_commit or "")
