"""How much a query may cost, and how one is cut off that costs more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
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
    does, also after `take` has had some of them.

    Statement and `take` run in a thread of their own: in the caller's, DuckDB 2.0 does not always heed Ctrl-C.
    """

    def taken() -> Answer:
        with cursor.sql(query, params=parameters).to_arrow_reader(BATCH_ROWS) as reader:
            return take(reader.schema, _batches(reader, limits))

    with ThreadPoolExecutor(1, "query") as pool:
        answer = pool.submit(taken)
        try:
            is_over = not wait([answer], limits.timeout_s).done
        except KeyboardInterrupt:
            _interrupt(cursor, answer)
            raise
        if is_over:
            _interrupt(cursor, answer)
        try:
            with in_memory(limits):
                return answer.result()
        except duckdb.InterruptException as exc:
            assert is_over, "nothing else interrupts a query"
            raise UsageError(
                f"the query was stopped after {limits.timeout_s:g} s; make it smaller, or allow more time "
                "(`mmer query --timeout-s`, `timeout_s`)"
            ) from exc


def _interrupt(cursor: duckdb.DuckDBPyConnection, answer: Future[Any]) -> None:
    """Again and again until it has ended: what is only being prepared does not heed an interrupt."""
    while not answer.done():
        cursor.interrupt()
        wait([answer], INTERRUPT_EVERY_S)


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
