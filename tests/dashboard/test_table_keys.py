"""A table is drawn anew where its rows are others."""

from __future__ import annotations

from dashboard.table_keys import table_key

ROWS = [("support", "a"), ("sales", "b")]


def test_the_same_rows_in_the_same_order_are_the_same_table() -> None:
    assert table_key("recordings", ROWS) == table_key("recordings", iter(ROWS))


def test_other_rows_another_order_and_another_name_are_another_table() -> None:
    others = [ROWS[:1], ROWS[::-1], [*ROWS, ("sales", "c")], [("support", "ab"), ("sales", "")], []]
    keys = {table_key("recordings", rows) for rows in [ROWS, *others]} | {table_key("runs", ROWS)}
    assert len(keys) == len(others) + 2
