"""Speakers as people edited them: the rows of `speaker_edits` replayed, and the views that show who speaks since.

Each hearing, (recording_id, heard_key), has its own edits, and every corpus that shows the hearing sees them; so who
may not see all of these corpora may not edit it (`speaker_edits.Seen`). A speaker is known by an id, `S1`. Renaming
gives it a name and leaves the id; merging and splitting change the ids.
"""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from mmer_ray.tables import Row

EDITS = """
    SELECT edits.recording_id, edits.heard_key, edits.edit_id, action, speaker, target, utterances, turns, author,
        edited_at
    FROM internal.speaker_edits AS edits JOIN commits USING (commit_id)
    WHERE $recording IS NULL OR (edits.recording_id = $recording AND edits.heard_key = $heard)
    ORDER BY sequence, edited_at, edit_id
"""
EDITED = pa.schema(
    [("recording_id", pa.string()), ("heard_key", pa.string())]
    + [("speakers", pa.map_(pa.string(), pa.string())), ("names", pa.map_(pa.string(), pa.string()))]
    + [(name, pa.map_(pa.int32(), pa.string())) for name in ("utterances", "turns")]
    + [("num_more", pa.int32())]
)
"""`internal.edited`: a row per edited hearing, the fields of `Speakers`."""

_OF_EDITED = (
    "LEFT JOIN internal.edited AS edited "
    "ON edited.recording_id = part.recording_id AND edited.heard_key = part.heard_key"
)


@dataclass(frozen=True, slots=True)
class SpeakerEdit:
    """A row of `speaker_edits`; what its fields mean for each action is told in `tables.SCHEMAS`."""

    edit_id: str
    action: str
    speaker: str | None = None
    target: str | None = None
    utterances: tuple[int, ...] = ()
    turns: tuple[int, ...] = ()
    author: str | None = None
    edited_at: datetime | None = None

    def __str__(self) -> str:
        match self.action:
            case "rename":
                return f"{self.speaker} is called {self.target}"
            case "merge":
                return f"{self.speaker} is {self.target}"
            case "split":
                numbers = ", ".join(map(str, self.utterances))
                return f"utterances {numbers} of {self.speaker} are {self.target}"
        return f"without {self.target}"


@dataclass(slots=True)
class Speakers:
    """Who speaks in a hearing, as edited. A speaker that no mapping names is the one that was heard."""

    speakers: dict[str, str] = field(default_factory=dict)
    """Speaker as heard -> speaker."""
    utterances: dict[int, str] = field(default_factory=dict)
    """utterance_idx -> speaker, of what was split off: it counts before `speakers`."""
    turns: dict[int, str] = field(default_factory=dict)
    """turn_idx -> speaker, likewise."""
    names: dict[str, str] = field(default_factory=dict)
    """Speaker -> name."""
    num_more: int = 0
    """Speakers that there are more than were heard."""

    def of_utterance(self, utterance_idx: int, heard: str) -> str:
        return self.utterances.get(utterance_idx) or self.speakers.get(heard, heard)

    def of_turn(self, turn_idx: int, heard: str) -> str:
        return self.turns.get(turn_idx) or self.speakers.get(heard, heard)

    def apply(self, edit: SpeakerEdit) -> None:
        """Make one edit, but for an undo, which is made by leaving an edit out."""
        assert edit.speaker is not None
        assert edit.target is not None
        match edit.action:
            case "rename":
                self.names[edit.speaker] = edit.target
            case "merge":
                self.speakers.setdefault(edit.speaker, edit.speaker)
                for mapping in (self.speakers, self.utterances, self.turns):
                    _redirect(mapping, edit.speaker, edit.target)
                self.names.pop(edit.speaker, None)
                self.num_more -= 1
            case "split":
                self.utterances |= dict.fromkeys(edit.utterances, edit.target)
                self.turns |= dict.fromkeys(edit.turns, edit.target)
                self.num_more += 1


def _redirect(mapping: dict[Any, str], speaker: str, target: str) -> None:
    mapping.update({key: target for key, value in mapping.items() if value == speaker})


def in_force(edits: Iterable[SpeakerEdit]) -> list[SpeakerEdit]:
    """The edits that count: those that no undo names, without the undos."""
    edits = list(edits)
    undone = {edit.target for edit in edits if edit.action == "undo"}
    return [edit for edit in edits if edit.action != "undo" and edit.edit_id not in undone]


def replayed(edits: Iterable[SpeakerEdit]) -> Speakers:
    """Who speaks after these edits, the earliest first."""
    speakers = Speakers()
    for edit in in_force(edits):
        speakers.apply(edit)
    return speakers


def edit_of(row: Row) -> SpeakerEdit:
    """A row of `speaker_edits`."""
    names = ("edit_id", "action", "speaker", "target", "author", "edited_at")
    some = {name: row[name] for name in names}
    return SpeakerEdit(**some, utterances=tuple(row["utterances"] or ()), turns=tuple(row["turns"] or ()))


def make_edited(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `internal.results`, `.utterances` and `.turns`: rows as they were heard, with the speakers as edited and
    their names. Where nothing is edited nothing is joined."""
    edited = _edited_rows(connection)
    if edited:
        connection.register("edited_rows", pa.Table.from_pylist(edited, schema=EDITED))
        connection.execute("CREATE TABLE internal.edited AS FROM edited_rows")
        connection.unregister("edited_rows")
    connection.execute(f"CREATE VIEW internal.results AS {_results(bool(edited))}")
    for table, index in (("utterances", "utterance_idx"), ("turns", "turn_idx")):
        connection.execute(f"CREATE VIEW internal.{table} AS {_spoken(table, index, bool(edited))}")


def _edited_rows(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    edits: defaultdict[tuple[str, str], list[SpeakerEdit]] = defaultdict(list)
    for row in _rows(connection, None, None):
        edits[row["recording_id"], row["heard_key"]].append(edit_of(row))
    found = {hearing: replayed(some) for hearing, some in edits.items()}
    return [
        {
            "recording_id": recording_id,
            "heard_key": heard_key,
            **{name: list(getattr(one, name).items()) for name in ("speakers", "names", "utterances", "turns")},
            "num_more": one.num_more,
        }
        for (recording_id, heard_key), one in found.items()
        if one != Speakers()
    ]


def _results(is_edited: bool) -> str:
    if not is_edited:
        return "FROM internal.results_as_heard"
    number = "part.num_speakers + coalesce(edited.num_more, 0)"
    return f"SELECT part.* REPLACE ({number} AS num_speakers) FROM internal.results_as_heard AS part {_OF_EDITED}"


def _spoken(table: str, index: str, is_edited: bool) -> str:
    if not is_edited:
        return f"SELECT *, NULL::VARCHAR AS speaker_name FROM internal.{table}_as_heard"
    speaker = f"coalesce(edited.{table}[part.{index}], edited.speakers[part.speaker], part.speaker)"
    return (
        f"SELECT part.* REPLACE ({speaker} AS speaker), edited.names[{speaker}] AS speaker_name "
        f"FROM internal.{table}_as_heard AS part {_OF_EDITED}"
    )


def edits_of(connection: duckdb.DuckDBPyConnection, recording_id: str, heard_key: str) -> list[SpeakerEdit]:
    """The edits of a hearing, undos and what they undid among them, the earliest first."""
    return [edit_of(row) for row in _rows(connection, recording_id, heard_key)]


def _rows(connection: duckdb.DuckDBPyConnection, recording_id: str | None, heard_key: str | None) -> list[Row]:
    place = {"recording": recording_id, "heard": heard_key}
    rows: list[Row] = connection.cursor().sql(EDITS, params=place).to_arrow_table().to_pylist()
    return rows
