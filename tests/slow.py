"""Which of a test's parameters each run of the tests tries, and which the slow ones alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def slow_but(values: Iterable[Any], quick: Collection[Any]) -> list[Any]:
    """All values as parameters; those that are not in `quick` are tried with `-m slow` only."""
    values = list(values)
    assert set(quick) <= set(values), "a value that is no parameter"
    return [pytest.param(*_tuple(one), marks=[] if one in quick else [pytest.mark.slow]) for one in values]


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
