"""A recording's hearing without one of its speakers: what the others said, in place of the hearing it was made of.

The new hearing has its own `heard_key`; `source_key` names the first one, so that a later job with the same profile has
nothing to do. Utterances and turns are numbered anew, words, every scorer's emotions and people's labels follow, and
measures are made again by `stages.link` from what is left. Edits of speakers are in it already; who is left keeps the
name that somebody gave.

`speech_ms`, `non_speech_ms`, `overlap_ms` and `num_speakers` stay as they were heard: they say how much of the sound is
speech, whoever spoke, and the ledger counts by them. So speech is more than what the speakers who are left say.
"""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from mmer_ray.errors import UsageError
from mmer_ray.lake.answer_tables import measure_columns
from mmer_ray.lake.conversation import turns_of, utterances_of
from mmer_ray.lake.edited_speakers import edits_of, in_force, replayed
from mmer_ray.lake.gone import num_erased_speakers
from mmer_ray.lake.known import known_answers
from mmer_ray.lake.one_hearing import CALLS, OF_HEARING, RESULTS
from mmer_ray.lake.views import connect
from mmer_ray.profiles import LinkOptions
from mmer_ray.stages.link import link
from mmer_ray.tables import SCHEMAS, Row

if TYPE_CHECKING:
    from mmer_ray.lake.removal import Speaker
    from mmer_ray.lake.store import Lake

_ASKED = "list_contains($recordings::VARCHAR[], recording_id)"
SPOKEN = f"""
    WITH spoken AS (
        SELECT corpus, recording_id FROM utterances WHERE $speaker IN (speaker, speaker_name) AND {_ASKED}
        UNION
        SELECT corpus, recording_id FROM turns WHERE $speaker IN (speaker, speaker_name) AND {_ASKED}
    )
    SELECT recording_id, heard_key, bool_or(spoken.corpus IS NOT NULL), min(shown.corpus)
    FROM internal.shown AS shown LEFT JOIN spoken USING (corpus, recording_id)
    WHERE {_ASKED} GROUP BY recording_id, heard_key ORDER BY recording_id, heard_key
"""
NAMES = f"""
    SELECT DISTINCT coalesce(speaker_name, speaker) AS name FROM utterances WHERE {_ASKED} ORDER BY name LIMIT 20
"""

_MINE = "corpus = $corpus AND recording_id = $recording"
_STAYS = f"{_MINE} AND speaker IS DISTINCT FROM $speaker AND speaker_name IS DISTINCT FROM $speaker"
_KEPT = f"""(
    SELECT utterance_idx, (row_number() OVER (ORDER BY utterance_idx) - 1)::INTEGER AS number
    FROM utterances WHERE {_STAYS}
) AS kept"""
_OF_KEPT = f"""
    SELECT part.* REPLACE (number AS utterance_idx) FROM {{table}} AS part JOIN {_KEPT} USING (utterance_idx)
    WHERE {_MINE} ORDER BY {{order}}
"""
QUERIES = {
    "utterances": _OF_KEPT.format(table="utterances", order="number"),
    "words": _OF_KEPT.format(table="words", order="number, word_idx"),
    "emotions": _OF_KEPT.format(table="emotions", order="number, scorer"),
    "turns": f"""
        SELECT * REPLACE ((row_number() OVER (ORDER BY turn_idx) - 1)::INTEGER AS turn_idx)
        FROM turns WHERE {_STAYS} ORDER BY turn_idx
    """,
}
ANNOTATIONS = _OF_KEPT.format(table="(FROM annotations WHERE heard_key = $heard)", order="number, rater")
"""Those of other hearings go with them."""
FILES = f"FROM internal.recordings SEMI JOIN internal.current USING (corpus, uri, commit_id) WHERE {OF_HEARING}"


def speech_of(connection: duckdb.DuckDBPyConnection, recordings: Sequence[str], speaker: str) -> list[tuple[str, str]]:
    """The hearings (recording_id, heard_key) of these recordings that are shown and in which somebody is called so.

    `connection` is one of `views.connect`. Raises `UsageError` where nobody is, or not in each hearing of a recording.
    """
    asked = {"recordings": list(recordings)}
    shown = connection.execute(SPOKEN, asked | {"speaker": speaker}).fetchall()
    with_speaker = {recording for recording, _, is_there, _ in shown if is_there}
    for recording, _, is_there, corpus in shown:
        if recording in with_speaker and not is_there:
            raise UsageError(
                f"corpus {corpus} shows another hearing of the recording {recording}, in which nobody is called "
                f"{speaker!r}; erase the whole recording, or score that corpus with the same profile first"
            )
    if not with_speaker:
        names = [str(name) for (name,) in connection.execute(NAMES, asked).fetchall()]
        raise UsageError(f"nobody is called {speaker!r} in these recordings; they have: {', '.join(names) or 'nobody'}")
    return [(recording, heard_key) for recording, heard_key, is_there, _ in shown if is_there]


def heard_keys_without(key: bytes, spoken: Sequence[tuple[str, str]], speaker: str) -> list[tuple[str, str]]:
    """(recording_id, heard_key) of the hearings without the speaker. `key` is the lake's: the name is no secret
    without it."""
    return [(recording, _without(key, heard_key, speaker)) for recording, heard_key in spoken]


def hearings_without(lake: Lake, speaker: Speaker) -> dict[str, pa.Table]:
    """The rows of the hearings without a speaker, and the rows with which the files name them; whole but for the names
    of run and commit. Raises as `speech_of`."""
    parts: dict[str, list[pa.Table]] = {}
    with connect(lake) as connection:
        for recording, heard_key in speech_of(connection, speaker.recordings, speaker.name):
            hearing = _Hearing(connection, recording, heard_key, speaker.name)
            for name, table in hearing.tables(_without(lake.key, heard_key, speaker.name)).items():
                parts.setdefault(name, []).append(table)
    return {name: pa.concat_tables(tables) for name, tables in parts.items()}


def _without(key: bytes, heard_key: str, speaker: str) -> str:
    made_of = json.dumps({"before": heard_key, "without": speaker}, sort_keys=True)
    return blake2b(made_of.encode(), digest_size=8, key=key, person=b"mmer_ray speaker").hexdigest()


class _Hearing:
    """A hearing as a corpus sees it, and what is left of it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, recording: str, heard_key: str, speaker: str) -> None:
        self._connection, self._recording, self._heard_key = connection, recording, heard_key
        self._of_hearing = {"recording": recording, "heard": heard_key}
        query = f"SELECT min(corpus) FROM internal.shown WHERE {OF_HEARING}"
        ((corpus,),) = connection.execute(query, self._of_hearing).fetchall()
        self._of_corpus = {"recording": recording, "corpus": corpus, "speaker": speaker}
        (self._results,) = self._select(RESULTS, self._of_hearing).to_pylist()

    def tables(self, new_key: str) -> dict[str, pa.Table]:
        """Table -> rows under the new key."""
        left = {name: self._select(query, self._of_corpus) for name, query in QUERIES.items()}
        left["annotations"] = self._select(ANNOTATIONS, self._of_corpus | {"heard": self._heard_key})
        results = self._results | {
            "num_utterances": left["utterances"].num_rows,
            "source_key": self._results["source_key"] or self._heard_key,
            "recluster": json.dumps({"erased_speakers": 1 + num_erased_speakers(self._results)}),
        }
        own = {name: self._results[name] for name in ("corpus", "month", "day")} | {"heard_key": new_key}
        tables = {name: _with(name, table, own) for name, table in left.items()}
        # Who may read a label depends on the corpus that it was written in.
        written_in = left["annotations"]["written_in"].cast(pa.string())
        column = SCHEMAS["annotations"].get_field_index("corpus")
        tables["annotations"] = tables["annotations"].set_column(
            column, SCHEMAS["annotations"].field(column), written_in
        )
        tables["results"] = pa.Table.from_pylist([results | {"heard_key": new_key}], schema=SCHEMAS["results"])
        tables["speaker_edits"] = self._names(left, own)
        tables["recordings"] = _with("recordings", self._select(FILES, self._of_hearing), {"heard_key": new_key})
        tables["calls"] = pa.Table.from_pylist(
            [row | {"heard_key": new_key} for row in self._measured(left)], schema=SCHEMAS["calls"]
        )
        return tables

    def _names(self, left: Mapping[str, pa.Table], own: Mapping[str, Any]) -> pa.Table:
        """The edits that give who is left the names of now; merges and splits are in the rows already."""
        edits = in_force(edits_of(self._connection, self._recording, self._heard_key))
        names = replayed(edits).names
        stay = {speaker for table in ("utterances", "turns") for speaker in left[table]["speaker"].to_pylist()}
        given = {str(edit.speaker): edit for edit in edits if edit.action == "rename"}
        rows = [
            {**own, "recording_id": self._recording, "action": "rename", "speaker": speaker, "target": name}
            | {"edit_id": secrets.token_hex(4), "author": given[speaker].author, "edited_at": given[speaker].edited_at}
            for speaker, name in names.items()
            if speaker in stay
        ]
        return pa.Table.from_pylist(rows, schema=SCHEMAS["speaker_edits"])

    def _measured(self, left: Mapping[str, pa.Table]) -> list[Row]:
        """The rows of `calls`, measured again from what is left, for every scorer."""
        utterances, words, emotions, turns = (
            left[name].to_pylist() for name in ("utterances", "words", "emotions", "turns")
        )
        rows = []
        for row in self._select(CALLS, self._of_hearing).to_pylist():
            whole = known_answers(self._connection, self._heard_key, row["scorer"], {self._recording: "link"})
            felt = [one for one in emotions if one["scorer"] == row["scorer"]]
            scored = replace(
                whole[self._recording], utterances=utterances_of(utterances, words, felt), turns=turns_of(turns)
            )
            linked = link(scored, LinkOptions(channel_roles=tuple(row["channel_roles"] or ())))
            measured = {name: column[0] for name, column in measure_columns([linked.measures]).items()}
            plain = {name: one.as_py() if isinstance(one, pa.Scalar) else one for name, one in measured.items()}
            rows.append(row | plain | {"has_emotions": True})
        return rows

    def _select(self, query: str, parameters: Mapping[str, str]) -> pa.Table:
        found: pa.Table = self._connection.cursor().sql(query, params=dict(parameters)).to_arrow_table()
        return found


def _with(name: str, table: pa.Table, values: Mapping[str, Any]) -> pa.Table:
    """The columns of a lake's table, some of them with one value in all rows."""
    schema = SCHEMAS[name]
    columns = [
        pa.repeat(pa.scalar(values[field.name], field.type), table.num_rows)
        if field.name in values
        else table.column(field.name).cast(field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
