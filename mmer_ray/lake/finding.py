"""What `mmer lake verify` finds: one thing that is not as it was written, or that somebody should know."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    table: str
    """Empty where it is no table's."""
    place: str
    """A file below the lake, a commit or a run."""
    what: str
    remedy: str
    is_damage: bool = True
    """False: nothing is lost or wrong."""
