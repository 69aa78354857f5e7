"""What is being removed from a lake: `erasing.json`, which lies there from the first step of a removal to its last.

The removal counts once its commit is listed in `commits`: from then on no reader sees the rows, and whoever writes next
finishes it (`removing.py`). It names what goes, so it is the last file to go.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from mmer_ray.errors import LakeError
from mmer_ray.lake.files import open_files
from mmer_ray.lake.store_errors import writing
from mmer_ray.tables import DERIVED_TABLES, SCHEMAS, Row

INTENT_NAME = "erasing.json"
INTENT_DRAFT_NAME = "erasing.json.draft"
FORMAT = "mmer_ray removal 1"
WITH_AUDIO = tuple(
    name for name, schema in SCHEMAS.items() if "recording_id" in schema.names and name not in DERIVED_TABLES
)
"""The tables whose rows belong to audio: all of them are searched, whichever tables a later version adds."""


@dataclass(frozen=True)
class Speaker:
    """A speaker who is to go from some recordings."""

    name: str
    recordings: tuple[str, ...]
    """The recording_ids."""


@dataclass(frozen=True)
class Removal:
    """What goes."""

    recordings: tuple[str, ...] = ()
    """Audio of which everything goes, in every table."""
    files: tuple[tuple[str, str], ...] = ()
    """(corpus, uri) whose rows of `recordings` go."""
    kept: tuple[tuple[str, str], ...] = ()
    """(recording_id, heard_key): of this audio every other hearing goes."""
    rows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Table -> audio whose rows of it go."""
    decisions: tuple[Row, ...] = ()
    """Rows of `erasures`, without names of run, commit and time."""
    speaker: Speaker | None = None
    """Whose speech the hearings of `kept`, which the removal's own commit holds, are without."""
    commit_id: str = ""
    """The commit with which it counts; empty before it was tried."""

    @property
    def is_empty(self) -> bool:
        return not (self.recordings or self.files or self.kept or any(self.rows.values()))


def read_intent(address: str) -> Removal | None:
    """The removal that is under way in the lake; None where there is none. Raises `LakeError` on a damaged one."""
    place = f"{address}/{INTENT_NAME}"
    try:
        files, path = open_files(place)
        text = files.cat_file(path).decode()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise LakeError(f"{place} cannot be read: {exc}; a removal has to be finished with it") from exc
    try:
        return _parsed(json.loads(text))
    except (ValueError, KeyError, TypeError) as exc:
        raise LakeError(f"{place} cannot be read: {exc}; restore it, a removal has to be finished with it") from exc


def write_intent(address: str, removal: Removal, *, is_local: bool) -> None:
    """Put it down, whole or not at all. Raises `StoreError`."""
    target = f"{address}/{INTENT_NAME}"
    draft = f"{address}/{INTENT_DRAFT_NAME}" if is_local else target
    with writing(address):
        files, path = open_files(draft)
        files.pipe_file(path, (json.dumps({"format": FORMAT, **asdict(removal)}) + "\n").encode())
        if is_local:
            Path(draft).replace(target)


def drop_intent(address: str, *, is_local: bool) -> None:
    """Take it away. Raises `StoreError`."""
    with writing(address):
        files, path = open_files(f"{address}/{INTENT_NAME}")
        files.rm_file(path)
        if is_local:
            Path(f"{address}/{INTENT_DRAFT_NAME}").unlink(missing_ok=True)


def _parsed(document: Mapping[str, Any]) -> Removal:
    if document["format"] != FORMAT:
        raise ValueError(f"it has the format {document['format']!r}, this mmer_ray knows {FORMAT!r}")
    speaker = document["speaker"]
    return Removal(
        recordings=tuple(document["recordings"]),
        files=tuple((corpus, uri) for corpus, uri in document["files"]),
        kept=tuple((recording, heard_key) for recording, heard_key in document["kept"]),
        rows={name: tuple(ids) for name, ids in document["rows"].items()},
        decisions=tuple(document["decisions"]),
        speaker=None if speaker is None else Speaker(speaker["name"], tuple(speaker["recordings"])),
        commit_id=document["commit_id"],
    )


_LOSES_ROWS = """
    SELECT recording_id FROM going.recordings UNION ALL SELECT recording_id FROM going.kept
    UNION ALL SELECT recording_id FROM going.rows
"""


def make_going(connection: duckdb.DuckDBPyConnection, removal: Removal) -> None:
    """Make the tables of the schema `going` that `goes` asks."""
    rows = [(name, recording) for name, ids in removal.rows.items() for recording in ids]
    tables: dict[str, tuple[list[str], Sequence[tuple[str, ...]]]] = {
        "recordings": (["recording_id"], [(one,) for one in removal.recordings]),
        "files": (["corpus", "uri"], removal.files),
        "kept": (["recording_id", "heard_key"], removal.kept),
        "rows": (["table_name", "recording_id"], rows),
    }
    connection.execute("CREATE SCHEMA going")
    for name, (columns, values) in tables.items():
        arrays = [pa.array([row[at] for row in values], pa.string()) for at in range(len(columns))]
        connection.register("going_rows", pa.Table.from_arrays(arrays, names=columns))
        connection.execute(f"CREATE TABLE going.{name} AS FROM going_rows")
        connection.unregister("going_rows")


def touched(name: str) -> str:
    """The condition that a row of a table, called `part`, with a recording_id speaks of audio that loses rows."""
    files = "EXISTS (FROM going.files AS going WHERE going.corpus = part.corpus AND going.uri = part.uri)"
    return f"({f'{files} OR ' if name == 'recordings' else ''}part.recording_id IN ({_LOSES_ROWS}))"


def goes(name: str) -> str:
    """The condition that a row of a table, called `part`, goes: never null. Its columns are those of `SCHEMAS`."""
    named = "(FROM going.{0} AS going WHERE going.recording_id = part.recording_id{1})"
    of_table = f" AND going.table_name = '{name}'"
    ways = [f"EXISTS {named.format('recordings', '')}", f"EXISTS {named.format('rows', of_table)}"]
    if name == "recordings":
        ways.append("EXISTS (FROM going.files AS going WHERE going.corpus = part.corpus AND going.uri = part.uri)")
    elif "heard_key" in SCHEMAS[name].names:
        # Version 1 has no heard_key; there a commit was a hearing.
        same = " AND going.heard_key = coalesce(part.heard_key, part.commit_id)"
        ways.append(f"(EXISTS {named.format('kept', '')} AND NOT EXISTS {named.format('kept', same)})")
    return f"({' OR '.join(ways)})"
