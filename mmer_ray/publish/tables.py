"""The lake's own rows of chosen recordings, as Parquet files with the schemas of `tables.py`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import pyarrow.parquet as pq

from mmer_ray.lake.queries import LakeReader
from mmer_ray.publish.conversations import PLACES, in_batches, places_of
from mmer_ray.tables import SCHEMAS, SORT_KEYS, Row

TABLES = ("recordings", "results", "utterances", "words", "turns", "emotions", "calls")
"""What readers ask for; `pieces` are the diarizer's own."""


def write_tables(reader: LakeReader, rows: Iterable[Row], folder: Path, tables: Sequence[str] = TABLES) -> None:
    """Write what each corpus sees of the recordings that `choose` gave: `NAME.parquet` for each table, in `folder`.

    Emotions are those of every scorer, recordings those of every file with the audio, failed ones among them.
    """
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(pq.ParquetWriter(folder / f"{name}.parquet", SCHEMAS[name], compression="zstd"))
            for name in tables
        }
        for batch in in_batches(rows):
            for name, writer in writers.items():
                columns = ", ".join(SCHEMAS[name].names)
                order = ", ".join(SORT_KEYS[name])
                query = f"SELECT {columns} FROM {name} AS part WHERE {PLACES} ORDER BY {order}"  # noqa: S608
                found = reader.sql(query, places_of(batch))
                if found.num_rows:
                    writer.write_table(found.cast(SCHEMAS[name]))
