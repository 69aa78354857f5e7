"""RTTM: who speaks when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mmer_ray.export.fields import field, file_field, time_fields


class SpokenStretch(Protocol):
    """A stretch in which one speaker speaks, with or without words."""

    @property
    def start_s(self) -> float: ...
    @property
    def end_s(self) -> float: ...
    @property
    def channel(self) -> int: ...
    @property
    def called(self) -> str: ...


def to_rttm(recording: str, turns: Sequence[SpokenStretch]) -> str:
    """NIST RTTM: a SPEAKER line per turn or utterance; channels from 1, the file by its name without ending."""
    name = file_field(recording)
    return "".join(
        f"SPEAKER {name} {one.channel + 1} {time_fields(one.start_s, one.end_s)} "
        f"<NA> <NA> {field(one.called)} <NA> <NA>\n"
        for one in turns
    )
