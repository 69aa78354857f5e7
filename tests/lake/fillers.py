"""Rows with a value and a null in every column, made from the columns' types alone."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from mmer_ray.lake.store import Lake
from mmer_ray.tables import SCHEMAS, partition_columns

TEXTS = ("", "hello", 'zwölf, "Boxkämpfer"\n=1+1', "日本語 🎧", "it's 100 %", "a" * 300)
PARTITIONS = {"corpus": ("calls", "a b ü/%=x"), "month": ("2026-10", "2026-11")}


def filled(name: str, num_rows: int, seed: int) -> pa.Table:
    """Rows of a table: of each column some are null, but for those that name folders and commits."""
    chance = random.Random(f"{name} {seed}")
    columns = []
    for field in SCHEMAS[name]:
        if field.name in partition_columns(name):
            values: list[Any] = [chance.choice(PARTITIONS[field.name]) for _ in range(num_rows)]
        else:
            values = [_value(field.type, chance) for _ in range(num_rows - 1)]
            values.append(None)
        columns.append(pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=SCHEMAS[name])


def filled_lake(address: str, num_rows: int = 40) -> Lake:
    """Two commits of such rows in every table; nothing else about it is true."""
    lake = Lake(address)
    lake.create()
    for sequence in (1, 2):
        for name in SCHEMAS:
            lake.append(name, filled(name, num_rows, sequence), sequence, "filler")
    return lake


def _value(data_type: pa.DataType, chance: random.Random) -> Any:
    if pa.types.is_map(data_type):
        names = chance.sample(TEXTS, chance.randint(0, 3))
        return [(name, _value(data_type.item_type, chance)) for name in names]
    if pa.types.is_list(data_type):
        return [_value(data_type.value_type, chance) for _ in range(chance.randint(0, 3))]
    return _MAKERS[data_type](chance)


_MAKERS: dict[pa.DataType, Any] = {
    pa.string(): lambda chance: chance.choice(TEXTS),
    pa.int32(): lambda chance: chance.choice([0, -1, 2**31 - 1, -(2**31), chance.randint(0, 10_000)]),
    pa.int64(): lambda chance: chance.choice([0, -1, 2**62, -(2**62), chance.randint(0, 10_000)]),
    pa.float32(): lambda chance: float(np.float32(round(chance.uniform(-100, 100), 3))),
    pa.float64(): lambda chance: chance.uniform(-1e9, 1e9),
    pa.bool_(): lambda chance: chance.random() < 0.5,
    pa.binary(): lambda chance: chance.randbytes(chance.randint(0, 50)),
    pa.date32(): lambda chance: date(2026, 11, 1) + timedelta(days=chance.randint(-20_000, 20_000)),
    pa.timestamp("us", tz="UTC"): lambda chance: (
        datetime(2026, 11, 1, tzinfo=UTC) + timedelta(microseconds=chance.randint(-(10**15), 10**15))
    ),
}
