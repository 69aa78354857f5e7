"""Which files and which audio were erased: how planner and writer know them, from hashes alone.

Of the rows of `erasures` that speak of a file or of audio, those count that came after the last one that readmitted it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mmer_ray.errors import LakeError
from mmer_ray.lake.card import erased_hash
from mmer_ray.lake.columns import values
from mmer_ray.tables import SCHEMAS, Row

if TYPE_CHECKING:
    from mmer_ray.lake.answers import Answers
    from mmer_ray.lake.plan import Plan
    from mmer_ray.lake.store import Lake

RETENTION = "retention"
"""The reason of what went because it had reached its age: there a file with another size is another one."""
WHOLE, SPEAKER, ROWS, READMITTED = "recording", "speaker", "rows", "readmitted"

DECISIONS = """
    CREATE TEMP TABLE decisions AS
    WITH dated AS (
        SELECT erasures.*, sequence FROM internal.erasures AS erasures
        JOIN (SELECT commit_id, sequence FROM commits) USING (commit_id)
    )
    SELECT * EXCLUDE (files_from, audio_from),
        uri_hash IS NOT NULL AND sequence > coalesce(files_from, -1) AS of_file,
        recording_hash IS NOT NULL AND sequence > coalesce(audio_from, -1) AS of_audio
    FROM dated
    LEFT JOIN (SELECT uri_hash, max(sequence) AS files_from FROM dated WHERE scope = 'readmitted' GROUP BY uri_hash)
        USING (uri_hash)
    LEFT JOIN (SELECT recording_hash, max(sequence) AS audio_from FROM dated WHERE scope = 'readmitted'
        GROUP BY recording_hash) USING (recording_hash)
    WHERE scope <> 'readmitted'
"""
"""The decisions that count: about the file (`of_file`), about the audio (`of_audio`)."""

FILES = """
    UPDATE compared SET verdict = 'erased' FROM (
        SELECT DISTINCT position FROM listed JOIN hashed_uris USING (position) JOIN compared USING (position)
        JOIN decisions ON decisions.uri_hash = hashed_uris.uri_hash
        WHERE of_file AND (scope = 'recording' OR NOT is_known)
            AND coalesce(decisions.corpus, listed.corpus) = listed.corpus
            AND (decisions.reason IS DISTINCT FROM 'retention' OR decisions.size_bytes = listed.size_bytes)
    ) AS erased WHERE compared.position = erased.position
"""
AUDIO = """
    CREATE TEMP TABLE erased_audio AS
    SELECT position, bool_or(scope = 'recording') AS of_whole, bool_or(scope = 'speaker') AS of_speaker,
        bool_or(scope = 'rows') AS of_rows
    FROM audio JOIN listed USING (position) JOIN hashed_audio USING (recording_id)
    JOIN decisions USING (recording_hash)
    WHERE of_audio AND coalesce(decisions.corpus, listed.corpus) = listed.corpus
    GROUP BY position
"""
"""What was erased of the audio of listed files."""
NOTHING = """
    CREATE TEMP TABLE erased_audio AS
    SELECT 0::BIGINT AS position, false AS of_whole, false AS of_speaker, false AS of_rows WHERE false
"""
SAME_SIZE = """
    SELECT DISTINCT recording_id FROM audio JOIN listed USING (position)
    WHERE size_bytes IN (SELECT size_bytes FROM decisions WHERE of_audio)
"""
BATCH_ROWS = 65_536


def find_decisions(connection: duckdb.DuckDBPyConnection) -> int:
    """Make the table `decisions`; returns how many count. `connection` is one of `views.connect_internal`."""
    connection.execute(DECISIONS)
    ((number,),) = connection.execute("SELECT count(*) FROM decisions").fetchall()
    return int(number)


def mark_erased_files(connection: duckdb.DuckDBPyConnection, key: bytes) -> None:
    """Give the listed files that were erased the verdict `erased` in the table `compared`. Nothing of them is read."""
    wanted = {one for (one,) in connection.execute("SELECT uri_hash FROM decisions WHERE of_file").fetchall()}
    reader = connection.sql("SELECT position, uri FROM listed").to_arrow_reader(BATCH_ROWS)
    positions: list[int] = []
    hashes: list[str] = []
    for batch in reader:
        for position, uri in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True):
            if (found := erased_hash(uri, key)) in wanted:
                positions.append(position)
                hashes.append(found)
    columns: list[pa.Array[Any]] = [pa.array(positions, pa.int64()), pa.array(hashes, pa.string())]
    connection.register("hashed_uris", pa.Table.from_arrays(columns, names=["position", "uri_hash"]))
    connection.execute(FILES)
    connection.unregister("hashed_uris")


def find_erased_audio(connection: duckdb.DuckDBPyConnection, key: bytes, *, is_any: bool) -> None:
    """Make the table `erased_audio`, of the table `audio`; empty unless `is_any` decision counts."""
    if not is_any:
        connection.execute(NOTHING)
        return
    hash_audio(connection, key, SAME_SIZE)
    connection.execute(AUDIO)
    connection.unregister("hashed_audio")


def hash_audio(connection: duckdb.DuckDBPyConnection, key: bytes, query: str | None) -> None:
    """Register `hashed_audio`: a `recording_hash` for each `recording_id` that the query gives, one column; None: no
    rows."""
    ids = [] if query is None else [one for (one,) in connection.execute(query).fetchall()]
    columns = [pa.array(ids, pa.string()), pa.array([erased_hash(one, key) for one in ids], pa.string())]
    connection.register("hashed_audio", pa.Table.from_arrays(columns, names=["recording_id", "recording_hash"]))


@dataclass(frozen=True, slots=True)
class Decision:
    """A row of `erasures` that counts."""

    corpus: str | None
    scope: str
    reason: str | None


class ErasedAudio:
    """What the writer knows of erased audio and files. `connection` is one of `views.connect_internal`.

    Raises `LakeError` where the plan names what was erased since it was made.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, lake: Lake, plan: Plan) -> None:
        find_decisions(connection)
        self._key, self._takes_erased = lake.key, plan.takes_erased
        self._of_audio: defaultdict[str, list[Decision]] = defaultdict(list)
        self._files = {one for (one,) in connection.execute("SELECT uri_hash FROM decisions WHERE of_file").fetchall()}
        of_audio = "SELECT recording_hash, corpus, scope, reason FROM decisions WHERE of_audio"
        for name, *facts in connection.execute(of_audio).fetchall():
            self._of_audio[name].append(Decision(*facts))
        newer = "SELECT recording_hash, uri_hash FROM decisions WHERE sequence > ?"
        found = connection.execute(newer, [plan.as_of]).fetchall() if plan.as_of is not None else []
        if found and not _named(plan, self._key).isdisjoint(one for row in found for one in row):
            raise LakeError(f"its recordings were erased from {lake.address} since it was planned: run it again")

    def judge(
        self, answers: Answers, recording_ids: Sequence[str], copies: pa.Table
    ) -> tuple[npt.NDArray[np.bool_], list[Row]]:
        """Which answers may be kept, shape (num_recordings,), and the rows of `erasures` that go with it.

        Audio that was erased comes where the planner could not read the file. Its row lets the next planner know the
        file, a copy, without a look at it. Audio that lost rows has no answers that are made of those. A job that takes
        what was erased keeps all: its rows readmit that, and `copies`.
        """
        keep = np.ones(answers.num_recordings, dtype=bool)
        recordings = answers.tables["recordings"]
        uris = values(recordings, "uri")
        if self._takes_erased:
            copied = zip(values(copies, "recording_id"), values(copies, "uri"), strict=True)
            return keep, self._readmissions([*zip(recording_ids, uris, strict=True), *copied])
        rows: list[Row] = []
        facts = (values(recordings, name) for name in ("corpus", "size_bytes", "restart"))
        for at, (name, uri, corpus, size_bytes, restart) in enumerate(zip(recording_ids, uris, *facts, strict=True)):
            found = self._decision(name, corpus, restart)
            if found is not None:
                keep[at] = False
                rows.append(decision_row(self._key, name, uri, size_bytes, found.scope, found.reason, found.corpus))
        return keep, rows

    def _decision(self, recording_id: str, corpus: str, restart: str) -> Decision | None:
        """Why work on this audio that begins there may not be kept in this corpus; None where it may."""
        if not self._of_audio:
            return None
        found = self._of_audio.get(erased_hash(recording_id, self._key), ())
        of_corpus = (one for one in found if one.corpus in (None, corpus))
        return next((one for one in of_corpus if restart == "decode" or one.scope == ROWS), None)

    def _readmissions(self, files: Iterable[tuple[str, str]]) -> list[Row]:
        """The rows that readmit what was erased of these (recording_id, uri), each once in a run."""
        rows: list[Row] = []
        for recording_id, uri in files:
            audio, file = erased_hash(recording_id, self._key), erased_hash(uri, self._key)
            if audio in self._of_audio or file in self._files:
                rows.append(decision_row(self._key, recording_id, uri, None, READMITTED, None, None))
            self._of_audio.pop(audio, None)
            self._files.discard(file)
        return rows


def _named(plan: Plan, key: bytes) -> set[str | None]:
    """The hashes of all files and of all known audio of a plan."""
    parts = (plan.todo, plan.copies)
    names = [name for part in parts for column in ("uri", "recording_id") for name in values(part, column)]
    return {erased_hash(name, key) for name in names if name is not None}


def decision_row(
    key: bytes,
    recording_id: str | None,
    uri: str | None,
    size_bytes: int | None,
    scope: str,
    reason: str | None,
    corpus: str | None,
) -> Row:
    """A row of `erasures`, without its time and the names of run and commit."""
    return {
        "recording_hash": None if recording_id is None else erased_hash(recording_id, key),
        "uri_hash": None if uri is None else erased_hash(uri, key),
        "size_bytes": size_bytes,
        "corpus": corpus,
        "scope": scope,
        "reason": reason,
    }


def erasures_table(rows: Iterable[Row]) -> pa.Table:
    """Rows of `decision_row`, decided now, as the table has them but for the names of run and commit."""
    now = datetime.now(UTC)
    return pa.Table.from_pylist([{**row, "erased_at": now} for row in rows], schema=SCHEMAS["erasures"])
