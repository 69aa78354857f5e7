"""DuckDB connections with a lake's visible rows (`visibility.py`), closed to everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import duckdb

from mmer_ray.errors import LakeError
from mmer_ray.lake.files import reading_files
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
    with_commits,
)
from mmer_ray.sources.s3 import REMEDY
from mmer_ray.tables import SCHEMAS

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


UNREADABLE = (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException)
"""What DuckDB raises for a file that is gone or is no Parquet."""
_COUNTED = [name for name in SCHEMAS if f"num_{name}" in SCHEMAS["commits"].names]


def connect(lake: Lake) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with the lake's views, closed to every file but the lake's and to further settings.

    Raises `LakeError` for a damaged lake.
    """
    connection = connect_internal(lake)
    for statement in (ACTIVE_OF_VERSION_1, SHOWN):
        connection.execute(statement)
    for name, query in VIEWS.items():
        connection.execute(f"CREATE VIEW {name} AS {query}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def connect_internal(lake: Lake, spill: Spill | None = None) -> duckdb.DuckDBPyConnection:
    """A connection for the planner and the writer: the tables `commits` and `internal.current`, `.heard`, `.felt`,
    `.active`, and the views of committed rows. Nothing that a user types goes there. With `spill` its memory is
    bounded. Raises `LakeError` for a damaged lake."""
    # Commits first: the other tables, listed later, then hold at least the rows of every commit seen.
    names = ["commits", *(name for name in SCHEMAS if name != "commits")]
    listed = {name: lake.files(name) for name in names}
    connection = duckdb.connect(":memory:", config={**SAFE_SETTINGS, **(spill.settings if spill else {})})
    try:
        if not lake.is_local:
            connection.register_filesystem(reading_files(lake.address, chain.from_iterable(listed.values())))
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET parquet_metadata_cache = true")
        connection.execute("CREATE SCHEMA internal")
        files = _committed_files(connection, listed)
        for name in names[1:]:
            connection.execute(committed_view(connection, name, files[name]))
        # Set here, since nothing can be allowed once outside access is off.
        paths = [path for some in files.values() for path in some]
        connection.execute("SET allowed_paths = $paths", {"paths": paths})
        _require_whole(connection, lake.address, listed)
        for statement in (CURRENT, HEARD, FELT, ACTIVE):
            connection.execute(statement)
    except BaseException as exc:
        connection.close()
        if isinstance(exc, UNREADABLE) or is_of_store(exc):
            raise damaged(lake.address, exc) from exc
        raise
    return connection


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
