"""How much a query may cost, and how one is cut off that costs more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from mmer_ray.errors import UsageError

BATCH_ROWS = 65_536
"""Rows that are taken at a time; more than is allowed are noticed after so many."""

INTERRUPT_EVERY_S = 0.1

Answer = TypeVar("Answer")
Take = Callable[[pa.Schema, Iterator[pa.RecordBatch]], Answer]
"""What becomes of the rows of an answer, which come a batch at a time."""


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """The most that a typed query may take. What a reader asks by itself is small; memory and threads bound it too."""

    max_rows: int = 1_000_000
    """Of the answer."""
    timeout_s: float = 300.0
    """Seconds on the clock."""
    memory_mb: int = 2_000
    """Of all queries of a reader together; nothing is spilled to a disk. The answer itself may take as much again."""
    threads: int | None = None
    """Of all queries of a reader together; None: one per core."""

    @property
    def settings(self) -> dict[str, str]:
        """DuckDB's settings for them."""
        threads = {} if self.threads is None else {"threads": str(self.threads)}
        return {"memory_limit": f"{self.memory_mb}MB", **threads}


class MemoryLimitError(UsageError):
    """A query needs more memory than it may take, or than others leave it."""


MANY_ROWS = QueryLimits(max_rows=100_000_000, timeout_s=3_600.0)
"""For exports, which ask for one row of every recording."""


def limited(cursor: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any], limits: QueryLimits) -> pa.Table:
    """The answer to one statement. Raises `UsageError` where it takes more than `limits` allow, naming the limit."""
    return streamed(cursor, query, parameters, limits, lambda schema, batches: pa.Table.from_batches(batches, schema))


def streamed(
    cursor: duckdb.DuckDBPyConnection,
    query: str,
    parameters: dict[str, Any],
    limits: QueryLimits,
    take: Take[Answer],
) -> Answer:
    """What `take` makes of the rows of one statement, of which one batch at a time is held here. Raises as `limited`
    does, also after `take` has had some of them."""
    watch = _Watch(cursor, limits.timeout_s)
    try:
        with watch, in_memory(limits), cursor.sql(query, params=parameters).to_arrow_reader(BATCH_ROWS) as reader:
            return take(reader.schema, _batches(reader, limits))
    except (duckdb.InterruptException, RuntimeError) as exc:
        # On Ctrl-C, DuckDB 2.0 raises a plain RuntimeError.
        if not isinstance(exc, duckdb.InterruptException) and str(exc) != "Query interrupted":
            raise
        if not watch.is_over:
            raise KeyboardInterrupt from exc
        raise UsageError(
            f"the query was stopped after {limits.timeout_s:g} s; make it smaller, or allow more time "
            "(`mmer query --timeout-s`, `timeout_s`)"
        ) from exc


@contextmanager
def in_memory(limits: QueryLimits) -> Iterator[None]:
    """Raise `MemoryLimitError` for what needs more memory than is allowed."""
    try:
        yield
    except (duckdb.OutOfMemoryException, MemoryError) as exc:
        raise MemoryLimitError(
            f"this needs more than {limits.memory_mb:,} MB of memory; make the query smaller, or allow more "
            "(`mmer query --memory-mb`, `memory_mb`)"
        ) from exc


def _batches(reader: pa.RecordBatchReader, limits: QueryLimits) -> Iterator[pa.RecordBatch]:
    num_rows, num_bytes = 0, 0
    for batch in reader:
        num_rows, num_bytes = num_rows + batch.num_rows, num_bytes + batch.nbytes
        if num_rows > limits.max_rows:
            raise UsageError(
                f"the query gives more than {limits.max_rows:,} rows; ask for fewer, such as by a LIMIT, or allow more "
                "(`mmer query --max-rows`, `max_rows`)"
            )
        if num_bytes > limits.memory_mb * 1_000_000:
            raise MemoryError
        yield batch


class _Watch:
    """Interrupts what runs in it once its time is over, again and again: what is only being prepared does not heed an
    interrupt."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, timeout_s: float) -> None:
        self._cursor, self._timeout_s = cursor, timeout_s
        self._ended = Event()
        self._thread = Thread(target=self._interrupt, name="query-timeout", daemon=True)
        self.is_over = False

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _interrupt(self) -> None:
        wait_s = self._timeout_s
        while not self._ended.wait(wait_s):
            self.is_over, wait_s = True, INTERRUPT_EVERY_S
            self._cursor.interrupt()
