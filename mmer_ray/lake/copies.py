"""Files with the same bytes: found by size, then by digest, so that the models hear each audio once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from mmer_ray.audio.sniff import mislabelled
from mmer_ray.errors import ErrorCode, Flag
from mmer_ray.lake.card import recording_id
from mmer_ray.lake.digest import content_digest
from mmer_ray.lake.plan import COPIES
from mmer_ray.records import Recording
from mmer_ray.tables import LISTED, SCHEMAS
from mmer_ray.transcripts.mark import input_digest

if TYPE_CHECKING:
    from mmer_ray.stages.keys import Keys

CANDIDATES = """
    WITH unheard AS (
        SELECT position, size_bytes, uri, audio.recording_id
        FROM listed
        JOIN compared USING (position)
        LEFT JOIN audio USING (position)
        LEFT JOIN wanted ON wanted.recording_id = audio.recording_id
        WHERE verdict IN ('new', 'scored', 'again') AND wanted.recording_id IS NULL AND size_bytes > 0
    ), shared AS (
        SELECT size_bytes FROM unheard GROUP BY size_bytes HAVING count(*) > 1
        UNION
        SELECT size_bytes FROM internal.current SEMI JOIN wanted USING (recording_id) WHERE status = 'scored'
        UNION
        SELECT size_bytes FROM decisions WHERE of_audio
    )
    SELECT position, corpus, uri, root, size_bytes, modified FROM listed
    JOIN (SELECT position FROM unheard WHERE recording_id IS NULL AND size_bytes IN (FROM shared)) USING (position)
    WHERE NOT contains(uri, '://') OR starts_with(uri, 'file://')
    ORDER BY position
"""
"""Local files of unknown bytes whose size another file has that is to be heard, or audio that was heard or erased."""

BATCH_ROWS = 4_096
_NOT_COPIED = ("run_id", "commit_id")
COPY_COLUMNS: pa.Schema = pa.schema(
    [SCHEMAS["recordings"].field(name) for name in SCHEMAS["recordings"].names if name not in _NOT_COPIED]
)
_FLAGS = pa.list_(pa.string())
_CHANGED = "the file with the same bytes changed before it was read; the next run tries this one again"
_HASHED_COLUMNS: list[tuple[str, pa.DataType]] = [("position", pa.int64()), ("recording_id", pa.string())]
_HASHED = pa.schema(_HASHED_COLUMNS)


def hash_candidates(connection: duckdb.DuckDBPyConnection, key: bytes) -> None:
    """Read the files that may be copies, as many at once as there are cores, and add them to the table `audio`."""
    reader = connection.sql(CANDIDATES).to_arrow_reader(BATCH_ROWS)
    hashed = [_HASHED.empty_table()]
    # Hashing runs outside Python's lock.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for batch in reader:
            recordings = list(map(_recording, *(batch.column(at).to_pylist() for at in range(1, 6))))
            ids = [
                None if digest is None else recording_id(input_digest(digest, one.modified), key)
                for one, digest in zip(recordings, pool.map(content_digest, recordings), strict=True)
            ]
            table = pa.Table.from_arrays([batch.column(0), pa.array(ids, pa.string())], schema=_HASHED)
            hashed.append(table.filter(table.column(1).is_valid()))
    connection.register("hashed", pa.concat_tables(hashed))
    connection.execute("INSERT INTO audio SELECT position, recording_id, NULL FROM hashed")
    connection.unregister("hashed")


WITH_CONTAINERS = """
    SELECT copies.*, found.container FROM copies
    LEFT JOIN (SELECT recording_id, max(container) AS container FROM internal.results GROUP BY recording_id) AS found
    USING (recording_id)
"""


def with_containers(connection: duckdb.DuckDBPyConnection, copies: pa.Table) -> pa.Table:
    """Copies (schema `plan.COPIES`) with the container of their audio, null where the lake has not heard it."""
    connection.register("copies", copies)
    schema = pa.schema([*COPIES, pa.field("container", pa.string())])
    found: pa.Table = connection.sql(WITH_CONTAINERS).to_arrow_table().select(schema.names).cast(schema)
    connection.unregister("copies")
    return found


def copy_rows(copies: pa.Table, keys: Keys) -> pa.Table:
    """The rows of `recordings` of copies whose audio is in the lake, `copies` as `with_containers` gives them."""
    nothing = pa.nulls(copies.num_rows, pa.string())
    columns: dict[str, Any] = {
        **{name: copies.column(name) for name in (*LISTED.names, "recording_id")},
        "month": pc.strftime(copies.column("day"), "%Y-%m"),
        "flags": pa.array(
            list(map(_flags, *(copies.column(name).to_pylist() for name in ("uri", "container")))), _FLAGS
        ),
        "status": pa.repeat("scored", copies.num_rows),
        **dict.fromkeys(("error_code", "error_stage", "error_message"), nothing),
        "attempts": copies.column("attempt"),
        "is_copy": pa.repeat(pa.scalar(True), copies.num_rows),
        "decode_key": pa.repeat(keys.decode, copies.num_rows),
        "limits_key": pa.repeat(keys.limits, copies.num_rows),
        "heard_key": pa.repeat(keys.heard, copies.num_rows),
    }
    return pa.Table.from_arrays([columns[name] for name in COPY_COLUMNS.names], schema=COPY_COLUMNS)


def follow(
    copies: pa.Table, answers: pa.Table, recording_ids: Sequence[str], planned: Sequence[str | None], keys: Keys
) -> pa.Table:
    """The rows of `recordings` of the copies that waited for these answers (rows of `recordings`, with a column
    `container`); `planned` has the recording_ids that the planner read, None where copies wait for another answer. They
    fail as their file failed."""
    waiting = copies.filter(
        pc.and_(
            pc.invert(copies.column("is_known")),
            pc.is_in(copies.column("recording_id"), value_set=pa.array(planned, pa.string())),
        )
    )
    if not waiting.num_rows:
        return COPY_COLUMNS.empty_table()
    at = pc.index_in(waiting.column("recording_id"), value_set=pa.array(planned, pa.string()))
    found = answers.take(at)
    container = pc.coalesce(waiting.column("container"), found.column("container"))
    rows = copy_rows(waiting.set_column(waiting.column_names.index("container"), "container", container), keys)
    is_other = pc.not_equal(pa.array(recording_ids, pa.string()).take(at), waiting.column("recording_id"))
    is_scored = pc.equal(found.column("status"), pa.scalar("scored"))
    changed = pc.and_(is_scored, is_other)
    status = pc.if_else(changed, "failed", found.column("status"))
    failure = {
        "status": status,
        "error_code": pc.if_else(changed, str(ErrorCode.CHANGED_DURING_READ), found.column("error_code")),
        "error_stage": pc.if_else(changed, "decode", found.column("error_stage")),
        "error_message": pc.if_else(changed, _CHANGED, found.column("error_message")),
        "heard_key": pc.if_else(pc.equal(status, pa.scalar("scored")), keys.heard, pa.scalar(None, pa.string())),
    }
    for name, column in failure.items():
        rows = rows.set_column(COPY_COLUMNS.names.index(name), COPY_COLUMNS.field(name), column)
    return rows


def _flags(uri: str, container: str | None) -> list[str]:
    """What is odd about a file's name: of two files with equal bytes one may have the wrong ending."""
    is_wrong = container is not None and mislabelled(uri.rpartition("/")[2], container)
    return [str(Flag.MISLABELLED)] if is_wrong else []


def _recording(corpus: str, uri: str, root: str, size_bytes: int, modified: str) -> Recording:
    return Recording(uri, corpus=corpus, root=root, size_bytes=size_bytes, modified=modified)
