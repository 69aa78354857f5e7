"""What the lake knows of recordings that do not begin again: read for the steps that are left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby

import duckdb

from mmer_ray.errors import Flag
from mmer_ray.lake.conversation import turns_of, utterances_of
from mmer_ray.lake.visibility import quoted
from mmer_ray.records import AudioFacts, Recording, ScoredRecording
from mmer_ray.tables import Row

_ROWS = """
    SELECT part.* FROM internal.{table} AS part JOIN internal.heard AS heard
    ON heard.recording_id = part.recording_id AND heard.heard_key = part.heard_key AND heard.commit_id = part.commit_id
    WHERE part.heard_key = $heard AND part.recording_id IN ({ids})
    ORDER BY part.recording_id, {order}
"""
_EMOTIONS = """
    SELECT part.* FROM internal.emotions AS part JOIN internal.felt AS felt
    ON felt.recording_id = part.recording_id AND felt.heard_key = part.heard_key AND felt.scorer = part.scorer
        AND felt.emotions_commit = part.commit_id
    WHERE part.heard_key = $heard AND part.scorer = $scorer AND part.recording_id IN ({ids})
    ORDER BY part.recording_id, utterance_idx
"""


def known_answers(
    connection: duckdb.DuckDBPyConnection, heard_key: str, scorer: str, restart_of: Mapping[str, str]
) -> dict[str, ScoredRecording]:
    """recording_id -> its answer as far as the lake has it under this key, for recordings that begin again at
    `emotion` or `link`; the emotions of the scorer come with `link` alone.

    `connection` is one of `views.connect_internal`. The digest of the bytes is not in the lake: `content_digest` is
    empty. The recording is a stand-in, to be replaced by the listed file.
    """
    ids = ", ".join(map(quoted, restart_of))
    felt = ", ".join(quoted(name) for name, restart in restart_of.items() if restart == "link") or "NULL"
    results = _grouped(connection, _ROWS.format(table="results", ids=ids, order="heard_key"), {"heard": heard_key})
    utterances, words = (
        _grouped(connection, _ROWS.format(table=table, ids=ids, order=order), {"heard": heard_key})
        for table, order in (("utterances", "utterance_idx"), ("words", "utterance_idx, word_idx"))
    )
    turns = _grouped(connection, _ROWS.format(table="turns", ids=ids, order="turn_idx"), {"heard": heard_key})
    emotions = _grouped(connection, _EMOTIONS.format(ids=felt), {"heard": heard_key, "scorer": scorer})
    return {
        name: replace(
            _answer(row, utterances.get(name, []), words.get(name, []), emotions.get(name, []), scorer),
            turns=turns_of(turns.get(name, [])),
            heard_key=heard_key,
        )
        for name, (row, *_) in results.items()
    }


def _grouped(connection: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, str]) -> dict[str, list[Row]]:
    rows = connection.cursor().sql(query, params=dict(parameters)).to_arrow_table().to_pylist()
    return {name: list(some) for name, some in groupby(rows, key=lambda row: str(row["recording_id"]))}


def _answer(row: Row, utterances: list[Row], words: list[Row], emotions: list[Row], scorer: str) -> ScoredRecording:
    return ScoredRecording(
        recording=Recording(row["recording_id"]),
        status="scored",
        audio=AudioFacts(
            content_digest="",
            duration_s=row["duration_ms"] / 1000,
            channels=row["channels"],
            sample_rate_hz=row["sample_rate_hz"],
            codec=row["codec"],
            container=row["container"],
            flags=tuple(map(Flag, row["flags"])),
        ),
        utterances=utterances_of(utterances, words, emotions),
        scorer=scorer,
        num_speakers=row["num_speakers"],
        speech_s=row["speech_ms"] / 1000,
        non_speech_s=row["non_speech_ms"] / 1000,
        overlap_s=row["overlap_ms"] / 1000,
        language=row["language"],
        language_p=row["language_p"],
    )
