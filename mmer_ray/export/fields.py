"""Values of formats whose lines are fields between blanks (RTTM, CTM)."""

from __future__ import annotations

from pathlib import PurePosixPath

MIN_DURATION_S = 0.001
"""The shortest that three decimals can say."""


def field(text: str) -> str:
    """A value without blanks.

    >>> field("a b")
    'a_b'
    """
    return "_".join(text.split()) or "<NA>"


def file_field(uri: str) -> str:
    """The recording by its name without folder and ending, as RTTM and CTM ask."""
    return field(PurePosixPath(uri).stem)


def time_fields(start_s: float, end_s: float) -> str:
    """Start and duration in seconds; a stretch lasts a millisecond at least.

    >>> time_fields(1.5, 1.5)
    '1.500 0.001'
    """
    return f"{start_s:.3f} {max(end_s - start_s, MIN_DURATION_S):.3f}"
