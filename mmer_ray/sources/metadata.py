"""Metadata of recordings: columns and JSON objects of any type to Arrow maps from name to text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

SURROGATES = re.compile("[\ud800-\udfff]")
"""Half of a character: JSON can spell it, neither UTF-8 nor Parquet can hold it."""


def as_text(value: object) -> str | None:
    """A cell as text: text as it is, anything else as JSON."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str).strip('"')


def text_column(column: pa.Array[Any]) -> pa.Array[Any]:
    """A Parquet column as text, null where it is null. A moment that no calendar has becomes a remark, not an error.

    Raises `pyarrow.ArrowException` for bytes that are not UTF-8.
    """
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column.validate(full=True)
    is_plain = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)
    is_moment = pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_time(kind)
    if is_plain or is_moment or pa.types.is_boolean(kind):
        return column.cast(pa.string())
    try:
        values = column.to_pylist()
    except (ValueError, OverflowError) as exc:
        raise pa.ArrowInvalid(f"a column of type {kind} cannot be read: {exc}") from exc
    return pa.array(list(map(as_text, values)), pa.string())


def map_of_columns(columns: Mapping[str, pa.Array[Any]], num_rows: int) -> pa.MapArray[Any, Any]:
    """One map per row, of the text columns that are not null there."""
    if not columns:
        return _map_of_texts([{}] * num_rows)
    present = np.stack([column.is_valid().to_numpy(zero_copy_only=False) for column in columns.values()], axis=1)
    row, column = np.nonzero(present)
    names = pa.array(list(columns), pa.string()).take(pa.array(column, pa.int64()))
    texts = pa.concat_arrays(list(columns.values())).take(pa.array(column * num_rows + row, pa.int64()))
    return _map_array(present.sum(axis=1), names, texts)


def map_of_rows(rows: Sequence[Mapping[str, object]], left_out: Set[str]) -> pa.MapArray[Any, Any]:
    """One map per JSON object, of the values that are not null; half characters become U+FFFD."""
    maps = [
        {name: text for name, value in row.items() if name not in left_out and (text := as_text(value)) is not None}
        for row in rows
    ]
    try:
        return _map_of_texts(maps)
    except UnicodeEncodeError:
        return _map_of_texts([{_whole(name): _whole(text) for name, text in one.items()} for one in maps])


def _map_of_texts(maps: Sequence[Mapping[str, str]]) -> pa.MapArray[Any, Any]:
    names = pa.array([name for one in maps for name in one], pa.string())
    texts = pa.array([text for one in maps for text in one.values()], pa.string())
    return _map_array(np.array([len(one) for one in maps], np.int64), names, texts)


def _map_array(lengths: npt.NDArray[np.int64], names: pa.Array[Any], texts: pa.Array[Any]) -> pa.MapArray[Any, Any]:
    """Maps of the given lengths, one after the other in `names` and `texts`."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return pa.MapArray.from_arrays(pa.array(offsets, pa.int64()), names, texts)


def _whole(text: str) -> str:
    return SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)
