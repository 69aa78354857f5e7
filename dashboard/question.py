"""A question to the lake: SQL of our own making, and what a viewer chose as bound parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from textwrap import dedent
from typing import Any

from mmer_ray.lake.visibility import quoted

Value = str | int | float | bool | date | tuple[str, ...] | tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Question:
    """One reading statement; hashable, so that its answer can be kept."""

    sql: str
    parameters: tuple[tuple[str, Value], ...] = ()
    """Name and value of each `$name` in the statement, and of nothing else: DuckDB refuses others."""
    is_large: bool = False
    """Whether it may take most of the memory that all questions share: such ones are answered one after the other."""

    @classmethod
    def of(cls, sql: str, **parameters: Value) -> Question:
        """A question from an indented statement."""
        return cls(dedent(sql).strip(), tuple(sorted(parameters.items())))

    def bound(self) -> dict[str, Any]:
        """The parameters as DuckDB takes them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in self.parameters}

    def shown(self) -> str:
        """The statement with its values in it, for people to read and for `mmer query` to answer."""
        values = dict(self.parameters)
        return _NAME.sub(lambda found: _literal(values[found[1]]) if found[1] in values else found[0], self.sql)


_NAME = re.compile(r"\$(\w+)")


def _literal(value: Value) -> str:
    """A value as SQL has it, on one line."""
    if isinstance(value, tuple):
        return f"[{', '.join(_literal(one) for one in value)}]"
    if isinstance(value, date):
        return f"DATE '{value}'"
    if isinstance(value, str):
        return _text(value)
    return "NULL" if value is None else str(value)


def _text(value: str) -> str:
    """A text as SQL has it: what is not seen, such as marks that turn the direction of writing, is told by number."""
    parts: list[str] = []
    for is_seen, some in groupby(value, str.isprintable):
        letters = "".join(some)
        parts += [quoted(letters)] if is_seen else [f"chr({ord(one)})" for one in letters]
    return f"({' || '.join(parts)})" if len(parts) > 1 else parts[0] if parts else "''"
