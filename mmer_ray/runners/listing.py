"""Listed recordings as Arrow batches, as the planner takes them."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from mmer_ray.lake.answers import source_columns
from mmer_ray.lake.columns import text_column
from mmer_ray.storage import SourceListing
from mmer_ray.tables import LISTED

BATCH_ROWS = 10_000


def batches_of(listing: SourceListing) -> Iterator[pa.RecordBatch]:
    """Batches of schema `tables.LISTED`."""
    for begin in range(0, len(listing.recordings), BATCH_ROWS):
        recordings = listing.recordings[begin : begin + BATCH_ROWS]
        columns = source_columns(recordings) | {"root": text_column([one.root for one in recordings])}
        yield pa.RecordBatch.from_arrays([columns[name] for name in LISTED.names], schema=LISTED)
