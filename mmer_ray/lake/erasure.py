"""Erasing recordings, or one speaker of them, for good: `mmer lake erase`.

A recording is its audio: every file of every corpus with these bytes goes, and everything that any job found in it.
What the audio said before its file changed goes too, unless another file has those bytes now. `erasures` keeps keyed
hashes of the recording_ids and uris, so that nothing of it is scored again unless somebody asks.

A speaker's utterances, words, turns and emotions go, and the voices that speakers could be counted from again (`pieces`
mix them); so do hearings that no corpus shows, and what the file was before it changed, since nobody is called by a
name in them. What others said stays. See `erase_speaker.py`.
"""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from mmer_ray.errors import LakeError
from mmer_ray.lake.erase_speaker import heard_keys_without, speech_of
from mmer_ray.lake.erased import SPEAKER, WHOLE, decision_row
from mmer_ray.lake.queries import LakeReader
from mmer_ray.lake.removal import WITH_AUDIO, Removal, Speaker, goes
from mmer_ray.lake.removing import remove, stored_rows
from mmer_ray.lake.views import connect, connect_internal

if TYPE_CHECKING:
    from mmer_ray.lake.store import Lake

FILES = """
    SELECT recording_id, corpus, uri, size_bytes FROM internal.current
    WHERE recording_id IN (FROM asked) ORDER BY corpus, uri
"""
EARLIER_AUDIO = """
    SELECT recording_id, max(size_bytes) FROM stored.recordings SEMI JOIN files USING (corpus, uri)
    WHERE recording_id NOT IN (FROM asked) AND recording_id NOT IN (FROM others)
    GROUP BY recording_id ORDER BY recording_id
"""
"""What files that go were before they changed, where no other file is that now."""


@dataclass(frozen=True)
class Erased:
    """What an erasure removes, or would remove."""

    num_recordings: int = 0
    """Different audio."""
    num_files: int = 0
    num_rows: Mapping[str, int] = field(default_factory=dict)
    """Table -> rows, those that no reader saw among them."""
    commit_id: str | None = None
    """The commit that says so; None where nothing was removed."""


def find_recordings(lake: Lake, names: Sequence[str] = (), where: str | None = None) -> list[str]:
    """The recording_ids that the names mean, and those of the rows of `recordings` for which the SQL condition holds.

    Raises `SourceError` for a name that fits none or several, `UsageError` for a condition that cannot be answered.
    """
    require_lake(lake)
    reader = LakeReader(lake)
    try:
        found = {str(reader.find_recording(name)["recording_id"]) for name in names}
        if where is not None:
            # On lines of its own, so that a comment at its end ends there.
            rows = reader.sql(f"SELECT DISTINCT recording_id FROM (SELECT * FROM recordings WHERE (\n{where}\n))")
            found.update(map(str, rows.column("recording_id").to_pylist()))
    finally:
        reader.close()
    return sorted(found)


def erase_recordings(lake: Lake, recordings: Sequence[str], reason: str | None, *, dry_run: bool = False) -> Erased:
    """Erase this audio, given by recording_ids; nothing happens where there is none, or with `dry_run`.

    Raises `LakeError` where another job writes the lake or it is damaged, `StoreError` where the store fails: the next
    command that writes then finishes it.
    """
    require_lake(lake)
    with writing_unless(dry_run, lake):
        removal, num_files = _of_recordings(lake, recordings, reason)
        return carried_out(lake, removal, len(removal.recordings), num_files, dry_run=dry_run)


def erase_speaker(
    lake: Lake, recordings: Sequence[str], speaker: str, reason: str | None, *, dry_run: bool = False
) -> Erased:
    """Erase what a speaker, called as the lake's views call them, said in these recordings.

    Raises `UsageError` where nobody is called so, or where a corpus shows another hearing of such a recording, in which
    nobody is; else as `erase_recordings`.
    """
    require_lake(lake)
    with writing_unless(dry_run, lake):
        with connect(lake) as connection:
            spoken = speech_of(connection, recordings, speaker)
            kept = heard_keys_without(lake.key, spoken, speaker)
            ids = sorted({recording for recording, _ in spoken})
            files, earlier = _meant(lake, connection, ids)
        sizes = {recording: size for recording, _, _, size in files}
        rows = [decision_row(lake.key, one, None, size, SPEAKER, reason, None) for one, size in sizes.items()]
        rows += [decision_row(lake.key, one, None, size, WHOLE, reason, None) for one, size in earlier]
        removal = Removal(
            recordings=tuple(one for one, _ in earlier),
            kept=tuple(kept),
            decisions=tuple(rows),
            speaker=Speaker(speaker, tuple(ids)),
        )
        return carried_out(lake, removal, len(ids), len(files), dry_run=dry_run)


def writing_unless(dry_run: bool, lake: Lake) -> AbstractContextManager[None]:
    """Who only asks what would go does not keep others from writing."""
    return nullcontext() if dry_run else lake.lock()


def require_lake(lake: Lake) -> None:
    """Raise `LakeError` where there is none."""
    if not lake.exists:
        raise LakeError(f"{lake.address} is not a lake; name one that is")


def _of_recordings(lake: Lake, recordings: Sequence[str], reason: str | None) -> tuple[Removal, int]:
    with connect_internal(lake) as connection:
        files, earlier = _meant(lake, connection, recordings)
    rows = [decision_row(lake.key, one, uri, size, WHOLE, reason, None) for one, _, uri, size in files]
    rows += [decision_row(lake.key, one, None, size, WHOLE, reason, None) for one, size in earlier]
    ids = sorted({one for one, *_ in files} | {one for one, _ in earlier})
    named = tuple((corpus, uri) for _, corpus, uri, _ in files)
    return Removal(recordings=tuple(ids), files=named, decisions=tuple(rows)), len(files)


def _meant(
    lake: Lake, connection: duckdb.DuckDBPyConnection, recordings: Sequence[str]
) -> tuple[list[tuple[str, str, str, int]], list[tuple[str, int]]]:
    """The files that are this audio now, as `_files`; and what these were before they changed, with its size."""
    files = _files(connection, recordings)
    others = connection.execute(
        "SELECT DISTINCT recording_id FROM internal.current WHERE recording_id NOT IN (FROM asked)"
    ).fetchall()
    named = [(corpus, uri) for _, corpus, uri, _ in files]
    return files, _earlier_audio(lake, recordings, named, [one for (one,) in others])


def _files(connection: duckdb.DuckDBPyConnection, recordings: Iterable[str]) -> list[tuple[str, str, str, int]]:
    """recording_id, corpus, uri and size of the files that are this audio now."""
    connection.execute("CREATE TEMP TABLE asked (recording_id VARCHAR)")
    connection.register("asked_rows", pa.table({"recording_id": pa.array(sorted(recordings), pa.string())}))
    connection.execute("INSERT INTO asked FROM asked_rows")
    connection.unregister("asked_rows")
    return connection.execute(FILES).fetchall()


def _earlier_audio(
    lake: Lake, recordings: Sequence[str], files: Sequence[tuple[str, str]], others: Sequence[str]
) -> list[tuple[str, int]]:
    columns = [pa.array([row[at] for row in files], pa.string()) for at in range(2)]
    tables = {
        "asked": pa.table({"recording_id": pa.array(list(recordings), pa.string())}),
        "others": pa.table({"recording_id": pa.array(list(others), pa.string())}),
        "files": pa.Table.from_arrays(columns, names=["corpus", "uri"]),
    }
    with stored_rows(lake) as connection:
        for name, table in tables.items():
            connection.register(name, table)
        return connection.execute(EARLIER_AUDIO).fetchall()


def carried_out(lake: Lake, removal: Removal, num_recordings: int, num_files: int, *, dry_run: bool) -> Erased:
    """Remove it, unless nothing goes or nothing shall; says what."""
    if removal.is_empty:
        return Erased()
    counted = Erased(num_recordings, num_files, count_rows(lake, removal))
    return counted if dry_run else replace(counted, commit_id=remove(lake, removal).commit_id)


def count_rows(lake: Lake, removal: Removal) -> dict[str, int]:
    """Table -> rows that a removal takes, tables without one left out."""
    with stored_rows(lake, removal) as connection:
        counts = {}
        for name in WITH_AUDIO:
            query = f"SELECT count(*) FROM stored.{name} AS part WHERE {goes(name)}"
            ((number,),) = connection.execute(query).fetchall()
            counts[name] = int(number)
    return {name: number for name, number in counts.items() if number}
