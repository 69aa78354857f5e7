"""Speakers of one recording named, joined and parted by people: `mmer speakers`, and whoever else edits them.

An edit is a row of `speaker_edits`, and the measures of every emotion model are made again in the same commit. What was
heard stays as it was written; `edited_speakers.py` replays the edits in the views, so that whatever reads a lake sees
the speakers as edited. A turn follows an utterance that is split off where more of it is covered by utterances that go
than by those of the same speaker that stay; where neither cover it, it stays.

Edits belong to a hearing. `mmer recluster`, or a profile that hears anew, shows another hearing, which has none; they
count again when the files show theirs again. No key of a stage follows from them, so no job does its work again.
"""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mmer_ray.errors import SourceError, UsageError
from mmer_ray.lake.answer_tables import measure_columns
from mmer_ray.lake.commit import SingleCommit
from mmer_ray.lake.edited_speakers import SpeakerEdit, Speakers, edits_of, in_force, replayed
from mmer_ray.lake.heard_speakers import HeardSpeakers, Merge, RecordingSpeakers, Rename, Split, Spoken, Undo
from mmer_ray.lake.known import known_answers
from mmer_ray.lake.one_hearing import CALLS, HEARD, OF_HEARING, RESULTS
from mmer_ray.lake.queries import LakeReader
from mmer_ray.lake.views import connect
from mmer_ray.measure_columns import MEASURES
from mmer_ray.profiles import LinkOptions
from mmer_ray.records import CallMeasures, ScoredRecording
from mmer_ray.stages.link import link
from mmer_ray.tables import SCHEMAS, Row

if TYPE_CHECKING:
    import duckdb

    from mmer_ray.lake.store import Lake

SPOKEN = "SELECT {table}_idx, channel, speaker, start_ms, end_ms FROM internal.{table}s_as_heard"
UTTERANCES = f"{SPOKEN.format(table='utterance')} {HEARD} ORDER BY utterance_idx"
TURNS = f"{SPOKEN.format(table='turn')} {HEARD} ORDER BY turn_idx"
OF_CORPUS = """
    SELECT * FROM recordings WHERE recording_id = $recording AND corpus = $corpus
    ORDER BY status = 'scored' DESC, is_copy, uri
"""
MEASURED_BEFORE = f"""
    SELECT calls.* FROM internal.calls AS calls JOIN commits USING (commit_id)
    WHERE {OF_HEARING} AND calls.scorer = $scorer AND calls.emotion_key IS NOT DISTINCT FROM $emotion
        AND calls.link_key IS NOT DISTINCT FROM $link AND calls.channel_roles IS NOT DISTINCT FROM $roles::VARCHAR[]
        AND sequence < (
            SELECT min(sequence) FROM internal.speaker_edits JOIN commits USING (commit_id) WHERE {OF_HEARING}
        )
    ORDER BY sequence DESC LIMIT 1
"""
"""A scorer's measures of the time before the first edit, if they were made as those of now."""
OF_EMOTIONS = ("valence_by_quarter", "worst_window_start_s", "worst_window_valence")
"""Measures that no edit of speakers changes; made again of the lake's rounded scores they might differ in a digit."""
ELSEWHERE = """
    SELECT DISTINCT corpus FROM recordings
    WHERE recording_id = $recording AND heard_key = $heard AND status = 'scored'
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What somebody was shown who edits on a page, and may see some corpora alone."""

    corpus: str
    heard_key: str
    corpora: tuple[str, ...] | None
    """Those that they may see; None: all."""


@dataclass(frozen=True, slots=True)
class EditMade:
    """An edit that was written, and the speakers that there are since."""

    edit: SpeakerEdit
    after: RecordingSpeakers


def speakers_of(lake: Lake, name: str) -> RecordingSpeakers:
    """The speakers of a recording, with the edits that were made.

    Raises as `edit_speakers` does, but needs neither the lake's key nor its lock.
    """
    lake.require_existing()
    row = _scored_row(lake, name)
    with connect(lake) as connection:
        return _Hearing(connection, row).speakers.told()


def edit_speakers(
    lake: Lake,
    name: str,
    wanted: Rename | Merge | Split | Undo,
    author: str,
    corpus: str | None = None,
    seen: Seen | None = None,
) -> EditMade:
    """Make one edit, in what `corpus` shows of a recording where it is named: corpora may have heard it differently.
    `seen` names the corpus too; the edit is made of that hearing, and where no other corpus would see it, or not at
    all.

    Raises `SourceError` for a name that fits no recording or several, `UsageError` for a recording that failed, for
    an edit that does not fit the speakers there are and for what `seen` forbids, `LakeError` where there is no lake or
    another job writes it.
    """
    lake.require_existing()
    with lake.lock():
        row = _scored_row(lake, name, seen.corpus if seen else corpus, seen)
        lake.create()
        with connect(lake) as connection:
            hearing = _Hearing(connection, row)
            edit = replace(hearing.speakers.edit(wanted), author=author, edited_at=datetime.now(UTC))
            after = hearing.speakers.after(edit)
            SingleCommit.begin(lake).write(lake, hearing.tables(edit, after))
    return EditMade(edit, after.told())


def _scored_row(lake: Lake, name: str, corpus: str | None = None, seen: Seen | None = None) -> Row:
    reader = LakeReader(lake)
    try:
        row = reader.find_recording(name)
        if corpus is not None:
            place = {"recording": row["recording_id"], "corpus": corpus}
            shown = reader.rows(OF_CORPUS, place)
            if not shown:
                raise SourceError(f"no recording in corpus {corpus!r} is called {name!r}")
            row = shown[0]
        if seen is not None:
            _require_as_seen(reader, row, seen)
    finally:
        reader.close()
    if row["status"] != "scored":
        raise UsageError(f"{row['uri']} failed ({row['error_code']}), so it has no speakers")
    return row


def _require_as_seen(reader: LakeReader, row: Row, seen: Seen) -> None:
    if row["status"] == "scored" and row["heard_key"] != seen.heard_key:
        raise UsageError(
            f"recording {row['recording_id']} shows another hearing in corpus {seen.corpus!r} by now, whose speakers "
            "are others: open it again"
        )
    place = {"recording": row["recording_id"], "heard": row["heard_key"]}
    corpora = {one["corpus"] for one in reader.rows(ELSEWHERE, place)}
    if seen.corpora is not None and not corpora <= set(seen.corpora):
        raise UsageError(
            f"recording {row['recording_id']} is also in a corpus that you may not see, where the edit would count "
            "too: ask somebody who may see all of its corpora"
        )


class _Hearing:
    """The hearing that a recording's files show."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, row: Row) -> None:
        self._connection = connection
        self._place = {"recording": str(row["recording_id"]), "heard": str(row["heard_key"])}
        self.speakers = HeardSpeakers(
            self._place["recording"],
            row["uri"],
            self._place["heard"],
            tuple(Spoken(*one) for one in connection.execute(UTTERANCES, self._place).fetchall()),
            tuple(Spoken(*one) for one in connection.execute(TURNS, self._place).fetchall()),
            tuple(edits_of(connection, self._place["recording"], self._place["heard"])),
        )

    def tables(self, edit: SpeakerEdit, after: HeardSpeakers) -> dict[str, pa.Table]:
        """The rows of an edit, without the names of run and commit."""
        (results,) = self._select(RESULTS, {})
        row = {name: results[name] for name in ("recording_id", "corpus", "month", "day", "heard_key")}
        values = {name: getattr(edit, name) for name in SCHEMAS["speaker_edits"].names if hasattr(edit, name)}
        edits = pa.Table.from_pylist([row | values], schema=SCHEMAS["speaker_edits"])
        calls = [self._measured(found, after) | {"has_emotions": False} for found in self._select(CALLS, {})]
        return {"speaker_edits": edits, "calls": pa.Table.from_pylist(calls, schema=SCHEMAS["calls"])}

    def _measured(self, calls: Row, after: HeardSpeakers) -> Row:
        """A scorer's row of `calls` after the edit: made again, or as it was before any edit."""
        if not in_force(after.edits):
            keys = {"emotion": calls["emotion_key"], "link": calls["link_key"], "roles": calls["channel_roles"]}
            before = self._select(MEASURED_BEFORE, keys | {"scorer": calls["scorer"]})
            if before:
                return before[0]
        options = LinkOptions(channel_roles=tuple(calls["channel_roles"] or ()))
        measures = link(self._spoken(replayed(after.edits)), options).measures
        assert measures is not None
        return calls | _speakers_measures(measures)

    def _spoken(self, speakers: Speakers) -> ScoredRecording:
        """What was heard, said by these speakers."""
        name = self._place["recording"]
        known = known_answers(self._connection, self._place["heard"], "", {name: "link"})[name]
        return replace(
            known,
            utterances=tuple(
                replace(one, speaker=speakers.of_utterance(heard.idx, heard.speaker))
                for one, heard in zip(known.utterances, self.speakers.utterances, strict=True)
            ),
            turns=tuple(
                replace(one, speaker=speakers.of_turn(heard.idx, heard.speaker))
                for one, heard in zip(known.turns, self.speakers.turns, strict=True)
            ),
        )

    def _select(self, query: str, more: Mapping[str, Any]) -> list[Row]:
        answer = self._connection.cursor().sql(query, params={**self._place, **more})
        rows: list[Row] = answer.to_arrow_table().to_pylist()
        return rows


def _speakers_measures(measures: CallMeasures) -> Row:
    """The columns of `calls` that speakers decide about."""
    kept = {column for measure in MEASURES if measure.field in OF_EMOTIONS for column in measure.columns}
    columns = measure_columns([measures])
    row = {name: some[0] for name, some in columns.items() if name not in kept}
    return {name: one.as_py() if isinstance(one, pa.Scalar) else one for name, one in row.items()}
