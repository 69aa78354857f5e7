"""The UTC day of a recording, from a manifest's column `recorded_at` or a file's modification time.

What `recorded_at` may be:

- an ISO 8601 date, or date and time with `T` or a blank between them, with or without an offset; without one it is UTC
- eight digits YYYYMMDD, or fourteen YYYYMMDDhhmmss, as text or as a number
- a number, or its text, of the time since 1970-01-01: 9 or 10 digits are seconds, 12 or 13 milliseconds, 15 or 16
  microseconds, 18 or 19 nanoseconds (March 1973 to 2286); decimals are allowed and dropped
- a date or timestamp column of a Parquet file
- null, NaN or blank: the file's own day

Anything else is refused, and so is a moment outside the years 1 to 9999 in UTC: a wrong day would put the recording
into the wrong part of the lake without a word. A file's modification time is not the user's statement: one outside
those years (a broken clock, a restored archive) counts as `NO_DAY`.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

NO_DAY = 0
"""1970-01-01, the day of a recording whose day nobody knows. Days are counted from it."""
REMEDY = "write it as 2026-11-30, 2026-11-30T14:05:00Z or seconds since 1970"

_EPOCH = date(1970, 1, 1).toordinal()
_FIRST, _LAST = date.min.toordinal() - _EPOCH, date.max.toordinal() - _EPOCH
_DAY_NS = 86_400 * 10**9
_ISO = re.compile(r"\d{4}(-?\d\d-?\d\d|-?W\d\d(-?\d)?)([T ].*)?", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"(\d+)(\.\d*)?", re.ASCII)
_DAY_BY_UNIT = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": _DAY_NS}
_DAY_BY_NUM_DIGITS = {
    num_digits + 3 * power: per_day for power, per_day in enumerate(_DAY_BY_UNIT.values()) for num_digits in (9, 10)
}
"""Digits of a count since 1970 -> units of that count in a day."""


def day_of_mtime(mtime_ns: int) -> int:
    """The day of a modification time in nanoseconds since 1970; `NO_DAY` where no calendar has it."""
    day = mtime_ns // _DAY_NS
    return day if _FIRST <= day <= _LAST else NO_DAY


def day_of(value: object) -> int | None:
    """The day that one value of `recorded_at` means; None where it means none. Raises `ValueError`.

    >>> date.fromordinal(_EPOCH + day_of("2026-11-30T23:30:00-02:00")).isoformat()
    '2026-12-01'
    >>> day_of(1712011512345) == day_of("2024-04-01") == day_of("20240401")
    True
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"a value of type {type(value).__name__}")
    text = value.strip() if isinstance(value, str) else f"{value:.0f}" if isinstance(value, float) else str(value)
    if not text:
        return None
    if not _ISO.fullmatch(text):
        number = _NUMBER.fullmatch(text)
        if number is None:
            raise ValueError("no date")
        return _day_of_digits(number[1])
    moment = datetime.fromisoformat(text)
    try:
        return (moment.astimezone(UTC) if moment.tzinfo else moment).toordinal() - _EPOCH
    except OverflowError as exc:
        raise ValueError("outside the years 1 to 9999 in UTC") from exc


def _day_of_digits(digits: str) -> int:
    if len(digits) == 14:
        return datetime.strptime(digits, "%Y%m%d%H%M%S").toordinal() - _EPOCH
    if len(digits) not in _DAY_BY_NUM_DIGITS:
        raise ValueError(f"{len(digits)} digits, which are no date and no time since 1970")
    return int(digits) // _DAY_BY_NUM_DIGITS[len(digits)]


def days_of_array(moments: pa.Array[Any]) -> list[int | None]:
    """The days of a date or timestamp column, null where it is null; a day outside the calendar is left as counted."""
    if pa.types.is_date32(moments.type):
        counts, per_day = moments.cast(pa.int32()).cast(pa.int64()), 1
    else:
        unit = "ms" if pa.types.is_date64(moments.type) else moments.type.unit
        counts, per_day = moments.cast(pa.int64()), _DAY_BY_UNIT[unit]
    # Arrow's division drops the remainder towards zero; days before 1970 need the floor.
    return [None if count is None else count // per_day for count in counts.to_pylist()]


def is_in_calendar(day: int) -> bool:
    """Whether a day lies in the years 1 to 9999."""
    return _FIRST <= day <= _LAST
