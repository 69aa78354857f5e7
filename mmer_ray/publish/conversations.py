"""Conversations of many recordings, a few at a time: one query per table for each few."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from mmer_ray.export.exported import Exported
from mmer_ray.lake.conversation import Conversation, turns_of, utterances_of
from mmer_ray.lake.gone import gone_tables, num_erased_speakers
from mmer_ray.lake.queries import LakeReader
from mmer_ray.lake.values import values_of
from mmer_ray.tables import Row

MAX_RECORDINGS = 200
"""Read together, so that short clips do not cost a query each."""
MAX_HOURS = 20
"""Read together: some 200,000 words."""

PLACES = "(part.corpus, part.recording_id) IN (SELECT unnest($corpora), unnest($ids))"
"""The condition that picks the rows of a few recordings; `places_of` gives its parameters."""

_ORDERS = {"utterances": "utterance_idx", "words": "utterance_idx, word_idx", "turns": "turn_idx"}
_Place = tuple[str, str]


def in_batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows of `choose` in lists that are read together."""
    batch: list[Row] = []
    total_ms = 0
    for row in rows:
        duration_ms = row["duration_ms"] or 0
        if batch and (len(batch) == MAX_RECORDINGS or total_ms + duration_ms > MAX_HOURS * 3_600_000):
            yield batch
            batch, total_ms = [], 0
        batch.append(row)
        total_ms += duration_ms
    if batch:
        yield batch


def places_of(rows: Sequence[Row]) -> dict[str, Any]:
    """The parameters of `PLACES`."""
    return {"corpora": [row["corpus"] for row in rows], "ids": [row["recording_id"] for row in rows]}


def conversations(reader: LakeReader, rows: Iterable[Row]) -> Iterator[Conversation]:
    """The conversation of each scored recording among rows of `choose`, in their order, as `LakeReader.conversation`
    gives it but for the measures; `recording` is the row as it was given. Failed ones are passed over."""
    for batch in in_batches(row for row in rows if row["status"] == "scored"):
        calls = _rows(reader, "calls", batch, "scorer")
        scorers = {place: some[0]["scorer"] for place, some in calls.items()}
        found = {name: _rows(reader, name, batch, order) for name, order in _ORDERS.items()}
        felt = _rows(reader, "emotions", batch, "utterance_idx")
        results = _rows(reader, "results", batch, "recording_id")
        for row in batch:
            place = row["corpus"], row["recording_id"]
            if place not in scorers:
                # A row of version 1 without measures: the reader knows whose emotions are shown.
                yield reader.conversation(row)
                continue
            emotions = [one for one in felt.get(place, ()) if one["scorer"] == scorers[place]]
            parts = {name: some.get(place, []) for name, some in found.items()}
            utterances, turns = utterances_of(parts["utterances"], parts["words"], emotions), turns_of(parts["turns"])
            num_words = sum(one["num_words"] or 0 for one in parts["utterances"])
            heard = results[place][0]
            yield Conversation(
                recording=row,
                utterances=utterances,
                measures=None,
                scorer=scorers[place] or None,
                turns=turns,
                gone=gone_tables(heard, calls[place], utterances, turns, num_words),
                num_erased_speakers=num_erased_speakers(heard),
            )


def exported(one: Conversation) -> Exported:
    """The conversation as the formats of many take it."""
    row = one.recording
    return Exported(
        recording_id=row["recording_id"],
        uri=row["uri"],
        corpus=row["corpus"],
        duration_s=row["duration_ms"] / 1000,
        sample_rate_hz=row["sample_rate_hz"],
        channels=row["channels"],
        utterances=one.utterances,
    )


def _rows(reader: LakeReader, table: str, batch: Sequence[Row], order: str) -> Mapping[_Place, list[Row]]:
    query = f"SELECT part.* FROM {table} AS part WHERE {PLACES} ORDER BY {order}"  # noqa: S608
    rows: defaultdict[_Place, list[Row]] = defaultdict(list)
    for row in _as_rows(reader.sql(query, places_of(batch))):
        rows[row["corpus"], row["recording_id"]].append(row)
    return rows


def _as_rows(table: pa.Table) -> Iterator[Row]:
    columns = [values_of(column) for column in table.columns]
    return (dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True))
