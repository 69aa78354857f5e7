"""The columns that a conversation's measures have in the lake, derived from the fields of `records.CallMeasures`.

Seconds become integer milliseconds (`silence_s` -> `silence_ms`), other numbers scores, a mapping a map by speaker, and
`..._by_quarter` four columns (`valence_by_quarter` -> `valence_q1` .. `valence_q4`). A new measure is a field there and
its definition in `stages/measures.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_origin, get_type_hints

import pyarrow as pa

from mmer_ray.records import CallMeasures

NUM_QUARTERS = 4
_BY_QUARTER = "_by_quarter"


@dataclass(frozen=True, slots=True)
class Measure:
    """One field of `CallMeasures` and its columns."""

    field: str
    columns: tuple[str, ...]
    is_map: bool
    """By speaker."""
    is_ms: bool
    is_count: bool

    @property
    def data_type(self) -> pa.DataType:
        """Of each of its columns."""
        value = pa.int32() if self.is_ms or self.is_count else pa.float32()
        return pa.map_(pa.string(), value) if self.is_map else value


def _measure(field: str, hint: object) -> Measure:
    is_ms = field.endswith("_s")
    columns: tuple[str, ...] = (f"{field.removesuffix('_s')}_ms" if is_ms else field,)
    if field.endswith(_BY_QUARTER):
        name = field.removesuffix(_BY_QUARTER)
        columns = tuple(f"{name}_q{quarter}" for quarter in range(1, NUM_QUARTERS + 1))
    return Measure(field, columns, get_origin(hint) is Mapping, is_ms, is_count=hint is int)


MEASURES = tuple(_measure(field, hint) for field, hint in get_type_hints(CallMeasures).items())
