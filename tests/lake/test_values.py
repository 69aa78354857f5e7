"""Answers of DuckDB as Python values, those included that Python cannot hold."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import duckdb
import pytest

from mmer_ray.lake.values import values_of


def answer(sql: str, zone: str = "UTC") -> list[Any]:
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"SET TimeZone = '{zone}'")
        return values_of(connection.sql(sql).to_arrow_table().column(0))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("'infinity'::TIMESTAMP", "infinity"),
        ("'-infinity'::TIMESTAMP", "-infinity"),
        ("'infinity'::TIMESTAMPTZ", "infinity"),
        ("'infinity'::DATE", "infinity"),
        ("'200000-01-01'::TIMESTAMP", "200000-01-01 00:00:00"),
        ("['infinity'::TIMESTAMP]", "[infinity]"),
        ("'2020-01-01 00:00:00.123456789'::TIMESTAMP_NS", "2020-01-01 00:00:00.123456789"),
    ],
)
def test_a_value_that_python_cannot_hold_is_text(value: str, text: str) -> None:
    assert answer(f"SELECT {value} UNION ALL SELECT NULL") == [text, None]


@pytest.mark.parametrize("zone", ["UTC", "Etc/UTC", "Europe/Berlin"])
def test_instants_are_in_utc_wherever_the_reader_sits(zone: str) -> None:
    moment = datetime(2026, 11, 25, 14, 1, 51, 250_000, tzinfo=UTC)

    assert answer("SELECT '2026-11-25 14:01:51.25+00'::TIMESTAMPTZ", zone) == [moment]


def test_everything_else_stays_what_it_is() -> None:
    assert answer("SELECT TIMESTAMP '1969-07-20 20:17:40'") == [datetime(1969, 7, 20, 20, 17, 40)]
    assert answer("SELECT DATE '2026-11-25'") == [date(2026, 11, 25)]
    assert answer("SELECT MAP {'a': 1}") == [{"a": 1}]
