"""Values of formats whose lines are fields between blanks (RTTM, CTM)."""

from __future__ import annotations

from pathlib import PurePosixPath


def field(text: str) -> str:
    """A value without blanks.

    >>> field("a b")
    'a_b'
    """
    return "_".join(text.split()) or "<NA>"


def file_field(uri: str) -> str:
    """The recording by its name without folder and ending, as RTTM and CTM ask."""
    return field(PurePosixPath(uri).stem)
