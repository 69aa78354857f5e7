"""The lake's rows of one recording as plain values for JSON: what the batch job would have written.

Left out are the columns that say where a file lies and when it was scored: a request has no source, run or commit. In
place of the lake's `recording_id`, which is made with a lake's own key, stands `content_digest`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mmer_ray.lake.answers import Answers
from mmer_ray.records import ScoredRecording

if TYPE_CHECKING:
    from mmer_ray.stages.keys import Keys

TABLES = ("recordings", "results", "utterances", "words", "turns", "emotions", "calls")
RECORDING_COLUMNS = (
    "status",
    "error_code",
    "error_stage",
    "error_message",
    "decode_key",
    "limits_key",
    "heard_key",
)
"""Of `recordings`, beside the digest; its flags are about the name of a file."""
SCORE_DIGITS = 3
"""Scores are rounded so in the lake (`tables.py`), as float32."""


def rows_of(scored: ScoredRecording, keys: Keys) -> dict[str, list[dict[str, Any]]]:
    """Table -> its rows, in order; columns in the order of the lake.

    A failed recording has a row in `recordings` and no other.
    Times are whole milliseconds, scores have three decimals, maps are objects; there is no NaN.
    """
    tables = Answers.of([scored], keys).tables
    recordings = tables["recordings"]
    digest = recordings.column("recording_id")
    named = recordings.select(RECORDING_COLUMNS).add_column(0, "content_digest", digest)
    return {name: plain_rows(named if name == "recordings" else tables[name].drop(["answer"])) for name in TABLES}


def plain_rows(table: pa.Table) -> list[dict[str, Any]]:
    """The rows of a table of the lake as values that JSON has."""
    columns = [_plain_column(table.column(field.name), field.type) for field in table.schema]
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain_column(column: pa.ChunkedArray[Any], kind: pa.DataType) -> list[Any]:
    return [_plain(value, kind) for value in column.to_pylist()]


def _plain(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if isinstance(kind, pa.MapType):
        return {name: _plain(item, kind.item_type) for name, item in value}
    if isinstance(kind, pa.ListType):
        return [_plain(item, kind.value_type) for item in value]
    if pa.types.is_floating(kind):
        return round(value, SCORE_DIGITS)
    if pa.types.is_temporal(kind):
        return value.isoformat()
    return value
