"""The derived tables (`serving.py`) built anew where they are no longer true: by `mmer lake compact`."""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmer_ray.lake.rewrite import replace_rows
from mmer_ray.lake.serving import Place, day_sums
from mmer_ray.tables import DERIVED_TABLES, SORT_KEYS

if TYPE_CHECKING:
    import duckdb

    from mmer_ray.lake.store import Lake

BATCH_ROWS = 4_096

STALE = """
    SELECT DISTINCT corpus, month FROM (
        SELECT corpus, month FROM internal.changed WHERE month IS NOT NULL
        UNION ALL
        SELECT corpus, built_month FROM internal.changed WHERE built_month IS NOT NULL
        UNION ALL
        SELECT corpus, strftime(day, '%Y-%m') FROM internal.changed_days
        UNION ALL
        SELECT corpus, month FROM internal.broken
    ) WHERE $corpus IS NULL OR corpus = $corpus ORDER BY ALL
"""

PLACE = "corpus = $corpus AND month = $month"
ROWS = {
    "serving_utterances": f"SELECT *, $build AS build_id FROM serving_utterances WHERE {PLACE}",
    "day_rollup": "SELECT *, $build AS build_id FROM ("
    + day_sums(f"(FROM serving_utterances WHERE {PLACE})")
    + ")",
    "serving_sources": f"""
        SELECT sources.*, coalesce(num_utterances, 0)::BIGINT AS num_utterances, $build AS build_id
        FROM (SELECT recording_id, corpus, month, day, source FROM internal.sources WHERE {PLACE}) AS sources
        LEFT JOIN (
            SELECT recording_id, count(*) AS num_utterances FROM serving_utterances WHERE {PLACE} GROUP BY recording_id
        ) USING (recording_id)
    """,
}
"""The rows of a partition, as the views have them now."""


def stale_partitions(connection: duckdb.DuckDBPyConnection, corpus: str | None = None) -> tuple[Place, ...]:
    """Corpus and month of the derived rows that readers compute anew; `connection` is that of `connect_to_build`."""
    return tuple((str(one), str(month)) for one, month in connection.execute(STALE, {"corpus": corpus}).fetchall())


def build_serving(lake: Lake, connection: duckdb.DuckDBPyConnection, build_id: str, places: Sequence[Place]) -> None:
    """Put the rows that the views have now in the place of these partitions. The caller holds the lake's lock.

    Raises `StoreError`.
    """
    for corpus, month in places:
        for name in DERIVED_TABLES:
            order = ", ".join(SORT_KEYS[name])
            parameters = {"corpus": corpus, "month": month, "build": build_id}
            rows = connection.sql(f"{ROWS[name]} ORDER BY {order}", params=parameters).to_arrow_reader(BATCH_ROWS)
            replace_rows(lake, name, rows, build_id, {"corpus": corpus, "month": month})
