"""Which classes a corpus is read with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Classes = Literal["four", "own"]
"""`four`: neutral, happy, sad and angry, as most published figures; what has another label is left out. `own`: those of
the corpus."""

FOUR = ("neutral", "happy", "sad", "angry")


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """The usual four as everywhere, then the others by name.

    >>> in_order({"angry", "calm", "happy", "bored"})
    ('happy', 'angry', 'bored', 'calm')
    """
    found = set(labels)
    return (*(label for label in FOUR if label in found), *sorted(found - set(FOUR)))
