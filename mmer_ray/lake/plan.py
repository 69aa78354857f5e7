"""What a job has to do: the listing minus what is still true in the lake. DuckDB and no Ray.

A row is still true while the file's size and modification mark are the same and every stage is the one that made
it. A failure that lies in the bytes stays true until they, or the decoder, change; any other is tried again.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa

from mmer_ray.errors import RETRYABLE, UsageError
from mmer_ray.lake.digest import content_digest
from mmer_ray.lake.results import SAME_STAGES, stage_parameters
from mmer_ray.lake.rows import clean, source_key
from mmer_ray.lake.store import Lake
from mmer_ray.lake.views import connect
from mmer_ray.records import Recording

MAX_CORPUS_BYTES = 80
"""A corpus names a folder of the lake, in which each byte may take three; file systems allow 255."""
NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"
"""How such a folder says that it has no name."""

JUDGE = f"""
    SELECT candidate.position, known.attempts, known.recording_id, known.duration_ms,
        CASE
            WHEN known.uri IS NULL OR known.size_bytes <> candidate.size_bytes OR known.modified <> candidate.modified
                THEN 'new'
            WHEN known.status = 'scored' AND {SAME_STAGES} THEN 'done'
            WHEN known.status = 'scored' THEN 'outdated'
            WHEN list_contains($retryable, known.error_code) THEN 'retry'
            WHEN known.decode_fingerprint = $decode_fingerprint THEN 'known_failure'
            ELSE 'new'
        END AS verdict
    FROM candidates AS candidate
    LEFT JOIN recordings AS known ON known.corpus = candidate.corpus AND known.uri = candidate.uri
    ORDER BY candidate.position
"""  # noqa: S608

KNOWN_SIZES = f"""
    SELECT DISTINCT size_bytes FROM recordings
    WHERE status = 'scored' AND {SAME_STAGES} AND size_bytes IN (SELECT unnest($sizes::BIGINT[]))
"""  # noqa: S608

KNOWN_AUDIO = f"""
    SELECT DISTINCT recording_id FROM recordings
    WHERE status = 'scored' AND {SAME_STAGES} AND recording_id IN (SELECT unnest($digests::VARCHAR[]))
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Copy:
    """A file with the bytes of another one: it gets a row, the models do not run."""

    recording: Recording
    recording_id: str
    primary: Recording | None
    """The earlier file of this plan that is scored for both; None when the lake has the audio already."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A listing, sorted by what has to be done about each recording."""

    todo: tuple[Recording, ...]
    """To be scored, the longest first, so that no worker ends on a long one alone."""
    copies: tuple[Copy, ...] = ()
    done: tuple[Recording, ...] = ()
    known_failures: tuple[Recording, ...] = ()
    repeated: tuple[Recording, ...] = ()
    """Named twice in the listing with the same corpus and uri; the first one counts."""
    done_s: float = 0.0

    @property
    def planned(self) -> tuple[Recording, ...]:
        """All recordings that must have a row once the job is done."""
        return self.todo + tuple(copy.recording for copy in self.copies)

    @property
    def todo_s(self) -> float:
        """Seconds of audio to score, guessed from file sizes where headers were not read."""
        return sum(recording.planned_s for recording in self.todo)

    def limited(self, num_recordings: int) -> Plan:
        """The same plan with at most so many recordings to score, and without the copies of those left out."""
        todo = self.todo[:num_recordings]
        kept = {source_key(recording) for recording in todo}
        copies = [copy for copy in self.copies if copy.primary is None or source_key(copy.primary) in kept]
        return replace(self, todo=todo, copies=tuple(copies))


def plan(recordings: Sequence[Recording], lake: Lake, fingerprints: Mapping[str, str]) -> Plan:
    """Compare a listing with the lake. Reads the bytes of files that may be copies, nothing else of any file.

    `fingerprints` names every stage of `tables.FINGERPRINT_STAGES`. A lake that does not exist yet is empty.
    """
    listed, repeated = _once_each(recordings)
    stages = stage_parameters(fingerprints)
    with connect(lake) as connection:
        verdicts = _judge(connection, listed, stages)
        sorted_out: dict[str, list[Recording]] = {"todo": [], "done": [], "known_failure": []}
        digests: dict[tuple[str, str], str] = {}
        done_ms = 0
        for recording, (_, attempts, recording_id, duration_ms, verdict) in zip(listed, verdicts, strict=True):
            if verdict == "done":
                done_ms += duration_ms
            elif verdict == "outdated":
                digests[source_key(recording)] = recording_id
                recording = replace(recording, expected_s=duration_ms / 1000)
            elif verdict == "retry":
                recording = replace(recording, attempt=attempts + 1)
            sorted_out[verdict if verdict in sorted_out else "todo"].append(recording)
        todo, copies = _set_copies_apart(connection, sorted_out["todo"], digests, stages)
    return Plan(
        todo=tuple(sorted(todo, key=lambda recording: (-recording.planned_s, *source_key(recording)))),
        copies=tuple(copies),
        done=tuple(sorted_out["done"]),
        known_failures=tuple(sorted_out["known_failure"]),
        repeated=tuple(repeated),
        done_s=done_ms / 1000,
    )


def _once_each(recordings: Iterable[Recording]) -> tuple[list[Recording], list[Recording]]:
    listed: dict[tuple[str, str], Recording] = {}
    repeated = []
    for recording in recordings:
        if recording.corpus == NULL_FOLDER or not 0 < len(clean(recording.corpus).encode()) <= MAX_CORPUS_BYTES:
            raise UsageError(
                f"corpus {recording.corpus!r} of {recording.uri} cannot name a folder of the lake; "
                f"give a name of 1 to {MAX_CORPUS_BYTES} bytes (--corpus NAME)"
            )
        if listed.setdefault(source_key(recording), recording) is not recording:
            repeated.append(recording)
    return list(listed.values()), repeated


def _judge(
    connection: duckdb.DuckDBPyConnection, listed: Sequence[Recording], stages: Mapping[str, str]
) -> list[tuple[int, int, str, int, str]]:
    corpora, uris = ([source_key(recording)[part] for recording in listed] for part in (0, 1))
    candidates = pa.table(
        {
            "position": pa.array(range(len(listed)), pa.int64()),
            "corpus": pa.array(corpora, pa.string()),
            "uri": pa.array(uris, pa.string()),
            "size_bytes": pa.array([recording.size_bytes for recording in listed], pa.int64()),
            "modified": pa.array([recording.modified for recording in listed], pa.string()),
        }
    )
    connection.register("candidates", candidates)
    retryable = sorted(str(code) for code in RETRYABLE)
    return connection.execute(JUDGE, {**stages, "retryable": retryable}).fetchall()


def _set_copies_apart(
    connection: duckdb.DuckDBPyConnection,
    todo: Sequence[Recording],
    digests: Mapping[tuple[str, str], str],
    stages: Mapping[str, str],
) -> tuple[list[Recording], list[Copy]]:
    """Part the copies from what is to be scored. Equal bytes have equal sizes: only such files are read."""
    counts = Counter(recording.size_bytes for recording in todo if recording.size_bytes)
    known_sizes = connection.execute(KNOWN_SIZES, {**stages, "sizes": list(counts)}).fetchall()
    shared = {size for size, count in counts.items() if count > 1} | {size for (size,) in known_sizes}
    found = _digests([recording for recording in todo if recording.size_bytes in shared], digests)
    known_audio = connection.execute(KNOWN_AUDIO, {**stages, "digests": list(set(found.values()))}).fetchall()
    known = {recording_id for (recording_id,) in known_audio}
    primaries: dict[str, Recording] = {}
    unique, copies = [], []
    for recording in todo:
        digest = found.get(source_key(recording))
        if digest is not None and digest in known:
            copies.append(Copy(recording, digest, primary=None))
        elif digest is not None and digest in primaries:
            copies.append(Copy(recording, digest, primary=primaries[digest]))
        else:
            unique.append(recording)
            if digest is not None:
                primaries[digest] = recording
    return unique, copies


def _digests(suspects: Sequence[Recording], digests: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """(corpus, uri) -> recording_id, from the lake where the file is unchanged, else from its bytes."""
    unread = [recording for recording in suspects if source_key(recording) not in digests]
    found = {source: digests[source] for source in map(source_key, suspects) if source in digests}
    # Hashing runs outside Python's lock.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        read = pool.map(content_digest, unread)
        found |= {source_key(one): digest for one, digest in zip(unread, read, strict=True) if digest is not None}
    return found
