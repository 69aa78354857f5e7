"""The derived tables (`serving.py`) built anew where they are no longer true: by `mmer lake compact`."""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmer_ray.lake.rewrite import replace_rows
from mmer_ray.lake.serving import Place, compare, day_sums
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

PART = """
    CREATE OR REPLACE TABLE internal.part AS
    FROM serving_utterances WHERE corpus = $corpus AND month = $month
"""
"""The rows of a partition, as the view has them now."""
ROWS = {
    "serving_utterances": "SELECT *, $build AS build_id FROM internal.part",
    "day_rollup": f"SELECT *, $build AS build_id FROM ({day_sums('internal.part')})",
    "serving_sources": """
        SELECT sources.*, coalesce(num_utterances, 0)::BIGINT AS num_utterances, $build AS build_id
        FROM (
            SELECT recording_id, corpus, month, day, source FROM internal.sources
            WHERE corpus = $corpus AND month = $month
        ) AS sources
        LEFT JOIN (
            SELECT recording_id, count(*) AS num_utterances FROM internal.part GROUP BY recording_id
        ) USING (recording_id)
    """,
}


def stale_partitions(connection: duckdb.DuckDBPyConnection, corpus: str | None = None) -> tuple[Place, ...]:
    """Corpus and month of the derived rows that readers compute anew; `connection` is that of `connect_to_build`."""
    compare(connection)
    return tuple((str(one), str(month)) for one, month in connection.execute(STALE, {"corpus": corpus}).fetchall())


def build_serving(lake: Lake, connection: duckdb.DuckDBPyConnection, build_id: str, places: Sequence[Place]) -> None:
    """Put the rows that the views have now in the place of these partitions. The caller holds the lake's lock.

    Raises `StoreError`.
    """
    for corpus, month in places:
        place = {"corpus": corpus, "month": month}
        connection.execute(PART, place)
        for name in DERIVED_TABLES:
            parameters = {"build": build_id} | (place if name == "serving_sources" else {})
            query = f"{ROWS[name]} ORDER BY {', '.join(SORT_KEYS[name])}"
            rows = connection.sql(query, params=parameters).to_arrow_reader(BATCH_ROWS)
            replace_rows(lake, name, rows, build_id, place)
