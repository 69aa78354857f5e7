"""Parquet files whose rows hold audio as bytes, as data sets of the Hugging Face hub do.

Such a file has no column `uri`. Its audio is in the column of bytes, or of a struct with a field `bytes`: the one
called `audio`, or the only one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

BYTES, PATH = "bytes", "path"
"""Fields of the struct: the audio, and the name of the file that it was."""
PREFERRED = "audio"


@dataclass(frozen=True)
class AudioColumn:
    """Where a file has its audio."""

    name: str
    is_struct: bool
    has_path: bool

    @property
    def leaf(self) -> str:
        """The column of bytes, as Parquet names it."""
        return f"{self.name}.{BYTES}" if self.is_struct else self.name


def audio_column(schema: pa.Schema) -> AudioColumn | None:
    """The column that holds audio; None where no column can. Raises ValueError, naming them, where several can."""
    found = [column for column in schema if holds_bytes(column.type)]
    chosen = [column for column in found if column.name == PREFERRED] or found
    if len(chosen) > 1:
        raise ValueError(f"several columns hold bytes ({', '.join(column.name for column in chosen)}); keep one")
    if not chosen:
        return None
    (column,) = chosen
    is_struct = pa.types.is_struct(column.type)
    return AudioColumn(column.name, is_struct, is_struct and column.type.get_field_index(PATH) >= 0)


def holds_bytes(kind: pa.DataType) -> bool:
    """Whether a column of this type may hold files: bytes, or a struct with a field of them."""
    if pa.types.is_struct(kind):
        index = kind.get_field_index(BYTES)
        return index >= 0 and _is_bytes(kind.field(index).type)
    return _is_bytes(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def mean_bytes(parquet: Any, leaf: str) -> list[int]:
    """The mean bytes of a row's audio in each row group of a `pyarrow.parquet.ParquetFile`, from its index alone.

    Compressed audio is not packed any further, so what the index says of a group is what its rows hold.
    """
    metadata = parquet.metadata
    place = next(at for at in range(metadata.num_columns) if metadata.schema.column(at).path == leaf)
    groups = (metadata.row_group(at) for at in range(metadata.num_row_groups))
    return [max(1, group.column(place).total_uncompressed_size // max(1, group.num_rows)) for group in groups]
