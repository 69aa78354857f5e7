"""Which statements a reader may send: one that reads."""

from __future__ import annotations

import re

import duckdb

from mmer_ray.errors import UsageError

_EXPLAIN = re.compile(r"\s*EXPLAIN\b\s*(?:ANALYZE\b|\(\s*\w[\w\s,]*\))?", re.IGNORECASE)


def refuse_writing(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Let one reading statement pass, raise `UsageError` for others.

    DuckDB's file restrictions stop reading elsewhere, but not writing to the lake's own files, and EXPLAIN ANALYZE runs
    what it explains; so kinds of statements are listed, not guessed.
    """
    kinds = _kinds(connection, query)
    if kinds == ["EXPLAIN"]:
        prefix = _EXPLAIN.match(query)
        kinds = _kinds(connection, query[prefix.end() :]) if prefix else kinds
    if len(kinds) != 1:
        raise UsageError(f"a query is one statement, this has {len(kinds)}")
    if kinds != ["SELECT"]:
        raise UsageError(f"a lake is read-only here: {kinds[0]} is refused; use SELECT, WITH, DESCRIBE or EXPLAIN")


def _kinds(connection: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    return [statement.type.name for statement in connection.extract_statements(query)]
