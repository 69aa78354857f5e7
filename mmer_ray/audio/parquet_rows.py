"""Recordings whose bytes are cells of a Parquet file, read inside the decoder's child: the file is untrusted too."""

from __future__ import annotations

import contextlib
import os
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmer_ray.audio.opening import LocalBytes, os_failure
from mmer_ray.errors import AudioError, ErrorCode
from mmer_ray.sources.parquet_audio import AudioColumn, audio_column
from mmer_ray.sources.uris import local_uri, row_address

ROWS_AT_A_TIME = 8
"""Rows in memory: the next ones are mostly the next to be asked for."""
BUFFER_BYTES = 1 << 20
"""A column is read in steps of this size, not a row group at once."""


class RowBytes:
    """One row's audio. Satisfies `opening.ByteSource`."""

    waited_s = 0.0
    """It is in memory."""

    def __init__(self, data: memoryview, file: LocalBytes) -> None:
        self._data, self._file = data, file
        self.size_bytes = len(data)

    def read_at(self, offset: int, num_bytes: int) -> bytes:
        return bytes(self._data[offset : offset + num_bytes])

    def changed(self) -> bool:
        return self._file.changed()

    def close(self) -> None:
        """Do nothing: the file stays open for the next row."""


class ParquetRows:
    """The rows of one Parquet file after the other. Rows that are asked for in order are each read once.

    A row before the last one of its row group costs reading the group from its beginning.
    """

    def __init__(self) -> None:
        self._file: _ParquetFile | None = None

    def row(self, uri: str, root: str) -> RowBytes:
        """The bytes of a row. Raises `AudioError` for a file that is not readable inside its root, and for no row."""
        try:
            path, number = row_address(uri)
        except ValueError as exc:
            raise AudioError(ErrorCode.NOT_FOUND, "no row of a Parquet file can have this name") from exc
        with _arrow_errors():
            return RowBytes(*self._opened(path, root).cell(number))

    def _opened(self, path: bytes, root: str) -> _ParquetFile:
        if self._file is None or not self._file.is_still(path, root):
            if self._file is not None:
                self._file.close()
                self._file = None
            self._file = _ParquetFile(path, root)
        return self._file


class _ParquetFile:
    """An open file, and the rows that were read last."""

    def __init__(self, path: bytes, root: str) -> None:
        self._place = path, root
        self._source = LocalBytes(local_uri(path), root)
        try:
            self._parquet = _open(self._source)
            self._column = _audio_of(self._parquet.schema_arrow)
        except BaseException:
            self._source.close()
            raise
        metadata = self._parquet.metadata
        num_rows = (metadata.row_group(at).num_rows for at in range(metadata.num_row_groups))
        self._starts = [0, *accumulate(num_rows)]
        self._batches: Iterator[Any] = iter(())
        self._group, self._first = -1, 0
        self._values: pa.Array[Any] = pa.array([], pa.binary())

    def is_still(self, path: bytes, root: str) -> bool:
        """Whether this is that file, and has not changed."""
        return self._place == (path, root) and not self._source.changed()

    def close(self) -> None:
        self._parquet.close(force=True)
        self._source.close()

    def cell(self, number: int) -> tuple[memoryview, LocalBytes]:
        """The bytes of a row, none where it is null, and the file."""
        if not 0 <= number < self._starts[-1]:
            raise AudioError(ErrorCode.NOT_FOUND, f"the Parquet file has {self._starts[-1]} rows")
        group = bisect_right(self._starts, number) - 1
        if group != self._group or number < self._first:
            self._batches = self._parquet.iter_batches(
                ROWS_AT_A_TIME, row_groups=[group], columns=[self._column.leaf], use_threads=False
            )
            self._group, self._first, self._values = group, self._starts[group], self._values[:0]
        while number >= self._first + len(self._values):
            self._first += len(self._values)
            column = next(self._batches).column(0)
            # The one field that was read; `flatten` makes it null where its struct is.
            self._values = column.flatten()[0] if self._column.is_struct else column
        buffer = self._values[number - self._first].as_buffer()
        return memoryview(b"" if buffer is None else buffer), self._source


def _open(source: LocalBytes) -> Any:
    # Address space is bounded, and the other allocators of Arrow reserve a great deal of it.
    pa.set_memory_pool(pa.system_memory_pool())
    file = os.fdopen(os.dup(source.fd), "rb")
    file.seek(0)
    return pq.ParquetFile(file, buffer_size=BUFFER_BYTES, pre_buffer=False)


def _audio_of(schema: pa.Schema) -> AudioColumn:
    try:
        found = audio_column(schema)
    except ValueError as exc:
        raise AudioError(ErrorCode.NO_AUDIO_STREAM, str(exc)) from exc
    if found is None:
        raise AudioError(ErrorCode.NO_AUDIO_STREAM, "the Parquet file has no column of bytes")
    return found


@contextlib.contextmanager
def _arrow_errors() -> Iterator[None]:
    """Say Arrow's errors in our words."""
    try:
        yield
    except MemoryError:
        raise
    except OSError as exc:
        # Arrow raises OSError for what it cannot read, without a number where the system had no part in it.
        raise os_failure(exc) if exc.errno else _unreadable(exc) from exc
    except (pa.ArrowException, StopIteration) as exc:
        raise _unreadable(exc) from exc


def _unreadable(exc: BaseException) -> AudioError:
    return AudioError(ErrorCode.CORRUPT_HEADER, f"the Parquet file cannot be read: {exc}")
