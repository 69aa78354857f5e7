"""A question to the lake: SQL of our own making, and what a viewer chose as bound parameters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from textwrap import dedent
from typing import Any

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
        """The statement and its parameters, for people to read; the values are comments, a line each."""
        values = [f"-- ${name} = {_one_line(value)}" for name, value in self.parameters]
        return "\n".join([*values, self.sql])


def _one_line(value: Value) -> str:
    shown = list(value) if isinstance(value, tuple) else str(value) if isinstance(value, date) else value
    return ascii(shown)
