"""What a lake has heard and shows now, as tables for those who ask some of it again (`rescoring.py`).

Of each hearing, (recording_id, heard_key), one file is read: the first that is still there, in order of corpus and
uri. A hearing whose speakers were counted again goes by the key of the one that it was made of, its `base_key`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from mmer_ray.errors import UsageError
from mmer_ray.lake.columns import values
from mmer_ray.lake.erased import find_decisions, hash_audio
from mmer_ray.lake.visibility import quoted
from mmer_ray.sources.present import absence

FILES = """
    CREATE TEMP TABLE files AS
    SELECT row_number() OVER (ORDER BY part.corpus, part.uri) AS position,
        part.corpus, part.uri, part.size_bytes, part.modified, part.day, part.metadata,
        part.recording_id, part.heard_key, coalesce(heard.source_key, part.heard_key) AS base_key,
        heard.source_key IS NOT NULL AS is_recounted, found.duration_ms,
        CASE WHEN base.heard_key IS NOT NULL THEN found.run_id END AS run_id,
        coalesce(starts_with(found.transcribe_key, 'given:') OR starts_with(found.diarize_key, 'given:'), false)
            AS is_given,
        coalesce(first(shown.channel_roles) OVER (
            PARTITION BY part.recording_id, part.heard_key ORDER BY part.corpus, part.uri), []) AS roles
    FROM internal.recordings AS part
    SEMI JOIN in_scope USING (corpus, uri)
    SEMI JOIN internal.current USING (corpus, uri, commit_id)
    JOIN internal.shown AS shown USING (corpus, recording_id, heard_key)
    JOIN internal.heard AS heard USING (recording_id, heard_key)
    LEFT JOIN internal.heard AS base
    ON base.recording_id = part.recording_id AND base.heard_key = coalesce(heard.source_key, part.heard_key)
    JOIN internal.results AS found
    ON found.recording_id = part.recording_id AND found.heard_key = coalesce(base.heard_key, heard.heard_key)
        AND found.commit_id = coalesce(base.commit_id, heard.commit_id)
    WHERE part.status = 'scored'
"""
"""Files that show a hearing, with the run that heard it and the roles of its channels. Where a speaker was erased the
hearing that the shown one was made of is gone, and with it the name of its run."""

ASKED = "CREATE TEMP TABLE asked AS SELECT *, NULL::VARCHAR AS scorer, NULL::VARCHAR AS emotion_key FROM files"
ASKED_OF_EACH_SCORER = """
    CREATE TEMP TABLE asked AS
    SELECT files.* REPLACE (coalesce(felt.channel_roles, []) AS roles), felt.scorer, felt.emotion_key
    FROM files JOIN internal.felt AS felt USING (recording_id, heard_key) WHERE felt.emotions_commit IS NOT NULL
"""
"""A row for each file, and for its measures one for each emotion model that has answered."""

KINDS = """
    WITH begun AS (SELECT run_id, options, keys FROM internal.runs WHERE status = 'started')
    SELECT kinds.base_key, scorer, emotion_key, roles, begun.options, begun.keys
    FROM (SELECT base_key, scorer, emotion_key, roles, max(run_id) AS run_id FROM asked GROUP BY ALL) AS kinds
    LEFT JOIN (SELECT keys['join'] AS base_key, max(run_id) AS run_id FROM begun GROUP BY ALL) AS like_it
    USING (base_key)
    LEFT JOIN begun ON begun.run_id = coalesce(kinds.run_id, like_it.run_id)
    ORDER BY ALL
"""
"""With the newest run that heard them, else the newest that hears as they were heard."""
PLACED = """
    CREATE TEMP TABLE placed AS
    SELECT asked.*, kinds.portion,
        coalesce(kinds.reason, CASE WHEN is_given AND $hears THEN $given END,
            CASE WHEN erased.position IS NOT NULL THEN $erased END, absent.reason) AS reason
    FROM asked
    JOIN kinds ON kinds.base_key = asked.base_key AND kinds.scorer IS NOT DISTINCT FROM asked.scorer
        AND kinds.emotion_key IS NOT DISTINCT FROM asked.emotion_key AND kinds.roles IS NOT DISTINCT FROM asked.roles
    LEFT JOIN absent USING (position)
    LEFT JOIN erased USING (position)
"""
PICKED = """
    CREATE TEMP TABLE picked AS
    SELECT * FROM placed
    QUALIFY row_number() OVER (
        PARTITION BY portion, recording_id, CASE WHEN NOT $hears THEN heard_key END, scorer
        ORDER BY reason IS NOT NULL, corpus, uri) = 1
"""
"""The file that is read of each hearing; to hear anew is to read each audio once."""

ERASED_AUDIO = """
    CREATE TEMP TABLE erased AS
    SELECT DISTINCT position FROM files JOIN hashed_audio USING (recording_id) JOIN decisions USING (recording_hash)
    WHERE of_audio AND coalesce(decisions.corpus, files.corpus) = files.corpus AND ($hears OR scope = 'rows')
"""
"""Files whose audio has lost a speaker, whom to hear anew would bring back, or rows, of which nothing new is made."""

GIVEN = "its words or turns were given: `mmer score --transcripts` scores it again"
ERASED = "a part of it was erased: `mmer score --erased` scores it whole again"


@dataclass(frozen=True)
class Kind:
    """Hearings of one kind: what there is to know before one of them is asked again."""

    base_key: str
    scorer: str | None
    """The emotion model whose measures are made again; None where it is asked itself."""
    emotion_key: str | None
    roles: tuple[str, ...]
    options: str
    """The profile of the run that heard them, as JSON."""
    keys: dict[str, str]
    """The keys of that run; empty in version 1."""


class Hearings:
    """The temporary tables `files`, `asked`, `placed` and `picked` of a connection with a lake's views."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, key: bytes, corpus: str | None, where: str | None
    ) -> None:
        """Take what is in scope. `key` is the lake's.

        Raises `UsageError` where `where` is no condition over the view `recordings`.
        """
        self._connection, self._key = connection, key
        recordings = connection.view("recordings")
        if corpus is not None:
            recordings = recordings.filter(f"corpus = {quoted(corpus)}")
        try:
            scope = (recordings if where is None else recordings.filter(where)).project("corpus, uri")
            connection.register("in_scope", scope.to_arrow_table())
        except duckdb.Error as exc:
            raise UsageError(f"--where {where!r} is no condition over the view recordings: {exc}") from exc
        connection.execute(FILES)

    def kinds(self, *, of_each_scorer: bool) -> list[Kind]:
        """The kinds of hearings that are there; with `of_each_scorer` apart by the emotion models that answered."""
        self._connection.execute(ASKED_OF_EACH_SCORER if of_each_scorer else ASKED)
        found = self._connection.execute(KINDS).fetchall()
        return [
            Kind(base_key, scorer, emotion_key, tuple(roles or ()), options or "{}", dict(keys or {}))
            for base_key, scorer, emotion_key, roles, options, keys in found
        ]

    def place(self, kinds: Sequence[Kind], portions: Sequence[int | str], *, hears: bool, reads: bool) -> None:
        """Say of each kind which portion of the work it is, or the reason why it is none.

        `hears`: recordings are heard anew. `reads`: their files are needed, so those that are gone are found.
        """
        self._connection.register("kinds", _kinds_table(kinds, portions))
        self._connection.register("absent", self._absent() if reads else _ABSENT.empty_table())
        self._find_erased(hears)
        self._connection.execute(PLACED, {"hears": hears, "given": GIVEN, "erased": ERASED})
        self._connection.execute(PICKED, {"hears": hears})

    def _find_erased(self, hears: bool) -> None:
        is_any = find_decisions(self._connection) > 0
        hash_audio(self._connection, self._key, "SELECT DISTINCT recording_id FROM files" if is_any else None)
        self._connection.execute(ERASED_AUDIO, {"hears": hears})

    def _absent(self) -> pa.Table:
        batches = self._connection.sql("SELECT position, uri, size_bytes FROM files").to_arrow_reader(4_096)
        return pa.Table.from_batches(list(_absences(batches)), schema=_ABSENT)


_ABSENT_COLUMNS: list[tuple[str, pa.DataType]] = [("position", pa.int64()), ("reason", pa.string())]
_ABSENT = pa.schema(_ABSENT_COLUMNS)


def _absences(batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        table = pa.Table.from_batches([batch])
        rows = zip(*(values(table, name) for name in ("position", "uri", "size_bytes")), strict=True)
        found = [(position, reason) for position, uri, size in rows if (reason := absence(uri, size)) is not None]
        columns: list[Any] = [[position for position, _ in found], [reason for _, reason in found]]
        yield pa.RecordBatch.from_arrays(
            [pa.array(column, field.type) for column, field in zip(columns, _ABSENT, strict=True)], schema=_ABSENT
        )


def _kinds_table(kinds: Sequence[Kind], portions: Sequence[int | str]) -> pa.Table:
    text = pa.string()
    return pa.table(
        {
            "base_key": pa.array([kind.base_key for kind in kinds], text),
            "scorer": pa.array([kind.scorer for kind in kinds], text),
            "emotion_key": pa.array([kind.emotion_key for kind in kinds], text),
            "roles": pa.array([list(kind.roles) for kind in kinds], pa.list_(text)),
            "portion": pa.array([one if isinstance(one, int) else None for one in portions], pa.int32()),
            "reason": pa.array([one if isinstance(one, str) else None for one in portions], text),
        }
    )
