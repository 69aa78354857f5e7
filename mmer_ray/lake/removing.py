"""Removing rows from a lake for good: out of every table, every older version and the logs.

    erasing.json    what goes is put down
    a commit        the decisions (`erasures`), and the hearings that take the place of others: now it counts
    commits         each commit's counts are lowered to what stays
    derived tables  the partitions that are made of such rows are emptied; compaction makes them again
    every table     the partitions that hold such rows are written anew without them
    every table     its older versions and their log are deleted
    erasing.json    goes

Each step may be done again, so a removal that was killed goes on from its start. Readers see none of the rows from the
commit on.
"""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from mmer_ray.failpoint import failpoint
from mmer_ray.lake.erased import erasures_table
from mmer_ray.lake.removal import WITH_AUDIO, Removal, drop_intent, goes, make_going, read_intent, touched, write_intent
from mmer_ray.tables import DATA_TABLES, DERIVED_TABLES, SCHEMAS, SORT_KEYS, partition_columns

if TYPE_CHECKING:
    from mmer_ray.lake.store import Lake

MEMORY_MB = 1_000
"""DuckDB's share; what does not fit goes to a temporary folder."""
BATCH_ROWS = 65_536


def remove(lake: Lake, removal: Removal) -> Removal:
    """Remove what it names; returns it with the name of its commit. The lake is locked by the caller.

    Raises `LakeError` for a damaged lake, `StoreError` where the store fails: whoever writes next then goes on.
    """
    lake.create()
    failpoint("before_removal")
    if not removal.commit_id or not _is_committed(lake, removal.commit_id):
        removal = _commit(lake, removal)
    run_id = removal.commit_id.rpartition(".")[0]
    with stored_rows(lake, removal) as connection:
        _lower_counts(lake, connection, run_id)
        _empty_derived(lake, connection, run_id)
        for name in WITH_AUDIO:
            _rewrite(lake, connection, name, run_id)
    _forget(lake)
    failpoint("before_removal_end")
    drop_intent(lake.address, is_local=lake.is_local)
    failpoint("after_removal")
    return removal


def finish_removal(lake: Lake) -> bool:
    """Finish the removal that was cut short, if there is one; says whether there was. Raises as `remove`."""
    removal = read_intent(lake.address) if lake.exists else None
    if removal is not None:
        remove(lake, removal)
    return removal is not None


def _is_committed(lake: Lake, commit_id: str) -> bool:
    with stored_rows(lake) as connection:
        found = connection.execute("SELECT count(*) FROM stored.commits WHERE commit_id = ?", [commit_id]).fetchall()
    return found != [(0,)]


def _commit(lake: Lake, removal: Removal) -> Removal:
    """Put down what goes and let it count. A commit that was cut short is made again under another name."""
    from mmer_ray.lake.commit import SingleCommit
    from mmer_ray.lake.erase_speaker import hearings_without

    single = SingleCommit.begin(lake)
    removal = replace(removal, commit_id=single.commit_id)
    write_intent(lake.address, removal, is_local=lake.is_local)
    failpoint("after_intent")
    hearings = hearings_without(lake, removal.speaker) if removal.speaker is not None else {}
    single.write(lake, {**hearings, "erasures": erasures_table(removal.decisions)})
    return removal


@contextmanager
def stored_rows(lake: Lake, removal: Removal | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """The rows that lie in the files of a lake (`views.connect_stored`), and what goes of them (`make_going`)."""
    from mmer_ray.lake.views import Spill, connect_stored

    with TemporaryDirectory(prefix="mmer-removal-") as folder:
        connection = connect_stored(lake, Spill(folder, MEMORY_MB))
        try:
            if removal is not None:
                make_going(connection, removal)
            yield connection
        finally:
            connection.close()


def _lower_counts(lake: Lake, connection: duckdb.DuckDBPyConnection, run_id: str) -> None:
    """Let `commits` count what stays of the commits that lose rows: a reader misses a table's rows by these counts."""
    from mmer_ray.lake.rewrite import replace_rows

    counted = [name for name in DATA_TABLES if name in WITH_AUDIO]
    left = " UNION ALL ".join(
        f"SELECT commit_id, '{name}' AS name, count(*) FILTER (NOT gone) AS num FROM "
        f"(SELECT commit_id, {goes(name)} AS gone FROM stored.{name} AS part) GROUP BY commit_id HAVING bool_or(gone)"
        for name in counted
    )
    wide = ", ".join(f"max(num) FILTER (name = '{name}') AS {name}" for name in counted)
    connection.execute(f"CREATE TEMP TABLE lowered AS SELECT commit_id, {wide} FROM ({left}) GROUP BY commit_id")
    touched = connection.execute("SELECT count(*) FROM lowered SEMI JOIN stored.commits USING (commit_id)").fetchall()
    if touched == [(0,)]:
        return
    stored = lake.schema("commits")
    # Version 1 did not count everything: what was null stays null.
    columns = ", ".join(
        f"CASE WHEN lowered.{name} < {column} THEN lowered.{name} ELSE {column} END AS {column}"
        if (name := column.removeprefix("num_")) in counted and name != column
        else column
        for column in stored.names
    )
    query = f"SELECT {columns} FROM stored.commits LEFT JOIN lowered USING (commit_id) ORDER BY sequence"
    rows = connection.sql(query).to_arrow_reader(BATCH_ROWS)
    replace_rows(lake, "commits", rows.cast(stored), run_id, {})


def _empty_derived(lake: Lake, connection: duckdb.DuckDBPyConnection, run_id: str) -> None:
    """Empty the partitions of the derived tables that audio which loses rows has a part in."""
    from mmer_ray.lake.rewrite import replace_rows

    with_audio = ["recordings", *(name for name in DERIVED_TABLES if "recording_id" in SCHEMAS[name].names)]
    found = (f"SELECT corpus, month FROM stored.{name} AS part WHERE {touched(name)}" for name in with_audio)
    places = connection.execute(f"FROM ({' UNION '.join(found)}) ORDER BY ALL").fetchall() if DERIVED_TABLES else []
    for name in DERIVED_TABLES:
        for corpus, month in places:
            empty = pa.RecordBatchReader.from_batches(lake.schema(name), [])
            replace_rows(lake, name, empty, run_id, {"corpus": corpus, "month": month})


def _rewrite(lake: Lake, connection: duckdb.DuckDBPyConnection, name: str, run_id: str) -> None:
    """Write the partitions anew that hold rows which go, without them."""
    from mmer_ray.lake.rewrite import replace_rows

    partition = partition_columns(name)
    gone = f"FROM stored.{name} AS part WHERE {goes(name)}"
    places: list[Mapping[str, str]] = []
    if partition:
        found = connection.execute(f"SELECT DISTINCT {', '.join(partition)} {gone} ORDER BY ALL").fetchall()
        places = [dict(zip(partition, values, strict=True)) for values in found]
    elif connection.execute(f"SELECT count(*) {gone}").fetchall() != [(0,)]:
        places = [{}]
    stored = lake.schema(name)
    columns = ", ".join(f'"{field.name}"' for field in stored)
    for place in places:
        here = "".join(f" AND {column} = ${column}" for column in place)
        query = f"SELECT {columns} FROM stored.{name} AS part WHERE NOT {goes(name)}{here}"
        if name in SORT_KEYS:
            query += f" ORDER BY {', '.join(SORT_KEYS[name])}, commit_id"
        rows = connection.sql(query, params=dict(place)).to_arrow_reader(BATCH_ROWS)
        replace_rows(lake, name, rows.cast(stored), run_id, place)


def _forget(lake: Lake) -> None:
    """Delete the older versions of every table that names audio, also of those that hold no such row any longer: a row
    may have gone before, and lie in an older file."""
    from mmer_ray.lake.rewrite import forget_earlier

    for name in (*WITH_AUDIO, *DERIVED_TABLES, "commits"):
        failpoint(f"before_forget_{name}")
        forget_earlier(lake, name)
        failpoint(f"after_forget_{name}")
        if lake.is_local:
            _drop_empty_folders(Path(lake.address) / name)


def _drop_empty_folders(table: Path) -> None:
    """A partition without files leaves a folder that is called after its corpus."""
    for folder, _, _ in os.walk(table, topdown=False):
        if Path(folder) != table and not any(Path(folder).iterdir()):
            Path(folder).rmdir()
