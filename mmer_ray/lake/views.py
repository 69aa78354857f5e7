"""DuckDB connections with a lake's visible rows (`visibility.py`), closed to everything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import duckdb

from mmer_ray.errors import LakeError
from mmer_ray.lake.changing import State, while_it_changes
from mmer_ray.lake.edited_speakers import make_edited
from mmer_ray.lake.files import reading_files
from mmer_ray.lake.removal import WITH_AUDIO, Removal, goes, make_going
from mmer_ray.lake.serving import add_serving_views
from mmer_ray.lake.table_rows import (
    RowFile,
    columns_in,
    committed,
    committed_view,
    row_files,
    rows_of,
    stored_view,
    unknown_fields,
    with_commits,
)
from mmer_ray.lake.visibility import ACTIVE_OF_VERSION_1, NEWEST, VIEWS, shown
from mmer_ray.sources.s3 import REMEDY
from mmer_ray.tables import DERIVED_TABLES, SCHEMAS

if TYPE_CHECKING:
    from mmer_ray.lake.store import Lake
    from mmer_ray.lake.table_log import DataFile

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


@dataclass(frozen=True, slots=True)
class Moment:
    """What a lake holds at one moment: every table as of the same commit."""

    connection: duckdb.DuckDBPyConnection
    versions: Mapping[str, int]
    """Table -> the version of it whose files were listed."""
    files: Mapping[str, Sequence[RowFile]]
    """Table -> the files that are read."""


UNREADABLE = (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException)
"""What DuckDB raises for a file that is gone or is no Parquet."""
_COUNTED = [name for name in SCHEMAS if f"num_{name}" in SCHEMAS["commits"].names]


def connect(lake: Lake) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with the lake's views, closed to every file but the lake's and to further settings.

    Raises `LakeError` for a damaged lake.
    """
    return moment_now(lake).connection


def moment_now(lake: Lake, settings: Mapping[str, str] | None = None) -> Moment:
    """The lake as it is now, for readers: `connect`, with further settings of DuckDB."""

    def opened(state: State) -> Moment:
        moment, listed = _internal(lake, state, settings)
        with closed_on_error(moment.connection, lake.address):
            make_public(moment.connection, listed)
            shut(moment.connection)
        return moment

    return while_it_changes(lake, opened)


def connect_internal(
    lake: Lake, spill: Spill | None = None, *, require_whole: bool = True
) -> duckdb.DuckDBPyConnection:
    """A connection for the planner and the writer: the tables `commits` and `internal.current`, `.heard`, `.felt`,
    `.active`, and the views of committed rows. Nothing that a user types goes there. With `spill` its memory is
    bounded. Raises `LakeError` for a damaged lake; unless it must be whole, rows may be gone."""
    settings = spill.settings if spill else None
    return while_it_changes(
        lake, lambda state: _internal(lake, state, settings, must_be_whole=require_whole)[0]
    ).connection


def connect_to_build(lake: Lake, spill: Spill | None = None) -> duckdb.DuckDBPyConnection:
    """A connection for compaction: that of `connect_internal` with the lake's views. Nothing that a user types goes
    there. Raises `LakeError` for a damaged lake."""

    def opened(state: State) -> Moment:
        moment, listed = _internal(lake, state, spill.settings if spill else None)
        with closed_on_error(moment.connection, lake.address):
            make_public(moment.connection, listed)
        return moment

    return while_it_changes(lake, opened).connection


def connect_stored(lake: Lake, spill: Spill) -> duckdb.DuckDBPyConnection:
    """A connection for who removes rows: the views `stored.<table>` of all rows that lie in the files of the newest
    versions. The lake is locked by the caller. Raises `LakeError`, `StoreError`."""
    listed = {name: lake.files(name) for name in SCHEMAS}
    connection = new_connection(lake, listed, spill.settings)
    with closed_on_error(connection, lake.address):
        connection.execute("CREATE SCHEMA stored")
        columns = columns_in(connection, chain.from_iterable(listed.values()))
        for name, files in listed.items():
            stored = lake.schema(name) if files else SCHEMAS[name]
            known = row_files(name, files, columns, unknown_fields(name, stored))
            connection.execute(stored_view(name, known, stored))
    return connection


def _internal(
    lake: Lake, state: State, settings: Mapping[str, str] | None, *, must_be_whole: bool = True
) -> tuple[Moment, dict[str, list[DataFile]]]:
    listed = list_files(lake)
    versions = lake.known_versions()
    connection = new_connection(lake, listed, settings)
    with closed_on_error(connection, lake.address):
        columns = columns_in(connection, listed["commits"])
        files = {"commits": row_files("commits", listed["commits"], columns)}
        connection.execute(f"CREATE TABLE commits AS {rows_of('commits', files['commits'])}")
        files |= committed_files(connection, listed)
        make_rows(connection, files, state.removal)
        if must_be_whole:
            require_whole(connection, lake.address, files)
        for name, statement in NEWEST.items():
            connection.execute(f"CREATE TABLE internal.{name} AS {statement('internal')}")
        connection.execute(ACTIVE_OF_VERSION_1)
    if state.removal is not None:
        # What is stored for dashboards may still hold rows that go.
        listed |= {name: [] for name in DERIVED_TABLES}
    return Moment(connection, versions, files), listed


def new_connection(
    lake: Lake, listed: Mapping[str, Sequence[DataFile]], settings: Mapping[str, str] | None
) -> duckdb.DuckDBPyConnection:
    """An empty DuckDB in memory, which can read these files."""
    connection = duckdb.connect(":memory:", config={**SAFE_SETTINGS, **(settings or {})})
    if not lake.is_local:
        connection.register_filesystem(reading_files(lake.address, chain.from_iterable(listed.values())))
    # Of all cursors: queries run in cursors, which a setting of this connection alone would not reach.
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    # Else an opening of more than 2 s draws it on stdout, among the results, where no script is the main module.
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET parquet_metadata_cache = true")
    connection.execute("CREATE SCHEMA internal")
    return connection


@contextmanager
def closed_on_error(connection: duckdb.DuckDBPyConnection, address: str) -> Iterator[None]:
    """Close it when what is done with it fails; what cannot be read is `LakeError`."""
    try:
        yield
    except BaseException as exc:
        connection.close()
        if isinstance(exc, UNREADABLE) or is_of_store(exc):
            raise damaged(address, exc) from exc
        raise


@contextmanager
def reading_rows(address: str) -> Iterator[None]:
    """Raise `LakeError` for what DuckDB raises where a file is gone or is no Parquet."""
    try:
        yield
    except duckdb.Error as exc:
        if isinstance(exc, UNREADABLE) or is_of_store(exc):
            raise damaged(address, exc) from exc
        raise


def damaged(address: str, exc: BaseException) -> LakeError:
    """What to raise where DuckDB cannot read a lake's own files."""
    if is_of_store(exc):
        # The traceback ends with the error; after it DuckDB may say where in the query it stopped.
        reason = str(exc).partition("\nLINE ")[0].strip().splitlines()[-1][:300]
        if not reason.startswith("FileNotFoundError"):
            return LakeError(f"the lake {address} cannot be read: {reason}; {REMEDY}")
    else:
        reason = str(exc).splitlines()[0][:300]
    return LakeError(f"the lake {address} is damaged: {reason}; restore it from a copy")


def is_of_store(exc: BaseException) -> bool:
    """Whether DuckDB passes on what its file system raised (`files.reading_files`): a traceback in an error without a
    kind of its own."""
    return type(exc) is duckdb.Error


def list_files(lake: Lake) -> dict[str, list[DataFile]]:
    """Table -> its files. Commits first: the others, listed later, then hold at least the rows of every commit."""
    return {name: lake.files(name) for name in ("commits", *(name for name in SCHEMAS if name != "commits"))}


def _is_derived(name: str) -> bool:
    return name in DERIVED_TABLES


def committed_files(
    connection: duckdb.DuckDBPyConnection,
    listed: Mapping[str, Sequence[DataFile]],
    known: Mapping[str, Sequence[RowFile]] | None = None,
) -> dict[str, list[RowFile]]:
    """The files of every table but `commits`, and but derived ones, that hold finished commits. What is `known` is not
    read again."""
    commit_ids = {commit_id for (commit_id,) in connection.execute("SELECT commit_id FROM commits").fetchall()}
    old = {name: {one.file.path: one for one in some} for name, some in (known or {}).items()}
    new = {
        name: [file for file in files if file.path not in old.get(name, {})]
        for name, files in listed.items()
        if name != "commits" and not _is_derived(name)
    }
    for name, files in new.items():
        if "commit_id" in SCHEMAS[name].names:
            new[name] = committed(with_commits(connection, files), commit_ids)
    columns = columns_in(connection, chain.from_iterable(new.values()))
    return {
        name: [
            *(old[name][file.path] for file in listed[name] if file.path in old.get(name, {})),
            *row_files(name, files, columns),
        ]
        for name, files in new.items()
    }


def make_rows(
    connection: duckdb.DuckDBPyConnection, files: Mapping[str, Sequence[RowFile]], removal: Removal | None = None
) -> None:
    """Make the views of committed rows, as they are to be read, without those that a removal under way removes, and
    allow their files to be read."""
    hides = removal is not None and _counts(connection, removal)
    if removal is not None and hides:
        make_going(connection, removal)
    for name in files:
        if name != "commits":
            hidden = goes(name) if hides and name in WITH_AUDIO else None
            connection.execute(committed_view(name, files[name], hidden=hidden))
    make_edited(connection)
    # Set here, since nothing can be allowed once outside access is off.
    paths = [one.file.path for some in files.values() for one in some]
    connection.execute("SET allowed_paths = $paths", {"paths": paths})


def _counts(connection: duckdb.DuckDBPyConnection, removal: Removal) -> bool:
    """Whether the removal's commit is finished."""
    found = connection.execute("SELECT count(*) FROM commits WHERE commit_id = ?", [removal.commit_id]).fetchall()
    return found != [(0,)]


def make_public(connection: duckdb.DuckDBPyConnection, listed: Mapping[str, Sequence[DataFile]]) -> None:
    """Make what readers may name, and `internal.shown` where it is not there."""
    connection.execute(f"CREATE TABLE IF NOT EXISTS internal.shown AS {shown()}")
    for name, query in VIEWS.items():
        connection.execute(f"CREATE VIEW {name} AS {query}")
    add_serving_views(connection, {name: listed[name] for name in DERIVED_TABLES})


def shut(connection: duckdb.DuckDBPyConnection) -> None:
    """Let the connection read nothing else from now on."""
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def require_whole(
    connection: duckdb.DuckDBPyConnection, address: str, files: Mapping[str, Sequence[RowFile]], after: int = 0
) -> None:
    """Raise `LakeError` where rows of a commit with a sequence above `after` are gone: an emptied entry of a table's
    log reads as one that adds nothing, a lost table as one that was never written."""
    for name in _COUNTED:
        query = f"SELECT commit_id FROM commits WHERE num_{name} > 0 AND sequence > $after"  # noqa: S608
        held = {one.file.first_commit for one in files[name]}
        several = [one.file for one in files[name] if one.file.first_commit != one.file.last_commit]
        for (commit_id,) in connection.execute(query, {"after": after}).fetchall():
            if commit_id not in held and not any(_may_hold(file, commit_id) for file in several):
                raise LakeError(
                    f"the lake {address} is damaged: the {name} of commit {commit_id} are gone; restore it from a copy"
                )
    finished = "SELECT count(*) FROM internal.runs WHERE status = 'finished' AND num_scored + num_failed > 0"
    if not files["commits"] and connection.execute(finished).fetchall() != [(0,)]:
        raise LakeError(f"the lake {address} is damaged: its commits are gone; restore it from a copy")


def _may_hold(file: DataFile, commit_id: str) -> bool:
    return (file.first_commit or "") <= commit_id <= (file.last_commit or "")
