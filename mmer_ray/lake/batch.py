"""One commit's rows: answers stamped, named by the lake's key, sorted, whole tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mmer_ray.lake.answers import Answers
from mmer_ray.tables import DATA_TABLES, SCHEMAS, SORT_KEYS


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one commit, fixed: however often it is tried, the same rows are appended."""

    sequence: int
    commit_id: str
    tables: Mapping[str, pa.Table]
    """Every table of `DATA_TABLES`, sorted as the lake is."""


@dataclass(frozen=True)
class Placed:
    """Answers and what the writer decided about each: arrays of length `answers.num_recordings`."""

    answers: Answers
    recording_ids: Sequence[str]
    keep_row: npt.NDArray[np.bool_]
    """Whether its row in `recordings` is written."""
    keep_heard: npt.NDArray[np.bool_]
    """Whether what was heard is written: not where the lake has it already."""
    keep_felt: npt.NDArray[np.bool_]
    """Whether emotions and measures are written."""
    is_copy: npt.NDArray[np.bool_]


def sealed(
    placed: Placed,
    more_recordings: pa.Table,
    extra: Mapping[str, pa.Table],
    sequence: int,
    run_id: str,
    commit_id: str,
) -> Batch:
    """The commit of these answers, of further rows of `recordings` (those of copies) and of other tables (`extra`)."""
    stamp = {"run_id": run_id, "commit_id": commit_id}
    recordings = placed.answers.tables["recordings"]
    place: dict[str, Any] = {
        "recording_id": pa.array(placed.recording_ids, pa.string()),
        **{name: recordings.column(name) for name in ("corpus", "month", "day", "heard_key")},
    }
    rank = _rank(recordings.column("day"), place["recording_id"])
    kept = {
        **dict.fromkeys(("results", "utterances", "words", "turns", "pieces"), placed.keep_heard),
        **dict.fromkeys(("emotions", "calls"), placed.keep_felt),
    }
    tables = {
        name: _children(name, placed.answers.tables[name], keep, rank, place, stamp) for name, keep in kept.items()
    }
    own = recordings.set_column(recordings.column_names.index("recording_id"), "recording_id", place["recording_id"])
    own = own.set_column(own.column_names.index("is_copy"), "is_copy", pa.array(placed.is_copy))
    own = own.filter(pa.array(placed.keep_row))
    rows = pa.concat_tables([stamped("recordings", own, stamp), stamped("recordings", more_recordings, stamp)])
    tables["recordings"] = rows.sort_by([(name, "ascending") for name in SORT_KEYS["recordings"]])
    tables |= {name: stamped(name, table, stamp) for name, table in extra.items()}
    return Batch(sequence, commit_id, whole(tables))


def whole(tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """Every table of `DATA_TABLES`, in its order; those not given are empty."""
    return {name: tables[name] if name in tables else SCHEMAS[name].empty_table() for name in DATA_TABLES}


def _rank(days: pa.ChunkedArray[Any], recording_ids: pa.Array[Any]) -> npt.NDArray[np.int32]:
    """The place of each recording in the lake's order, shape (num_recordings,)."""
    keys = pa.table({"day": days, "recording_id": recording_ids})
    order = pc.sort_indices(keys, sort_keys=[("day", "ascending"), ("recording_id", "ascending")]).to_numpy()
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank


def _children(
    name: str,
    table: pa.Table,
    keep: npt.NDArray[np.bool_],
    rank: npt.NDArray[np.int32],
    place: Mapping[str, Any],
    stamp: Mapping[str, str],
) -> pa.Table:
    """A table's rows, recordings in the lake's order; inside a recording the order is that of the answers."""
    answer = table.column("answer").to_numpy()
    if not keep.all():
        table, answer = table.filter(pa.array(keep[answer])), answer[keep[answer]]
    order = np.argsort(rank[answer], kind="stable")
    if not np.array_equal(order, np.arange(len(order))):
        table, answer = table.take(order), answer[order]
    columns = {column: values.take(pa.array(answer)) for column, values in place.items()}
    columns |= {column: table.column(column) for column in table.column_names if column != "answer"}
    return stamped(name, pa.table(columns), stamp)


def stamped(name: str, table: pa.Table, stamp: Mapping[str, Any]) -> pa.Table:
    """The columns of the lake's table, in its order; those of `stamp` have one value in all rows."""
    schema = SCHEMAS[name]
    constants = {
        column: pa.repeat(pa.scalar(value, schema.field(column).type), table.num_rows)
        for column, value in stamp.items()
        if column in schema.names
    }
    columns = [constants[column] if column in constants else table.column(column) for column in schema.names]
    return pa.Table.from_arrays(columns, schema=schema)
