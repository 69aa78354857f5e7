"""RTTM: who speaks when (NIST RT-09 evaluation plan, appendix A)."""

from __future__ import annotations

from math import isfinite

from mmer_ray.errors import SourceError
from mmer_ray.export.fields import field
from mmer_ray.records import SpeakerTurn


def parse(text: str, stem: str, name: str) -> tuple[SpeakerTurn, ...]:
    """The SPEAKER lines of one recording, by start; other lines count for nothing.

    A file with lines of several recordings gives those whose file field is `stem`; a file of one gives them all.
    Raises `SourceError` with the file's name and the line for one that cannot be read.
    """
    turns: dict[str, list[SpeakerTurn]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        turns.setdefault(fields[1] if len(fields) > 1 else "", []).append(_turn(fields, f"{name}, line {number}"))
    if len(turns) > 1 and field(stem) not in turns:
        raise SourceError(f"{name} has lines of {', '.join(sorted(turns))} and none of {field(stem)}")
    mine = turns.get(field(stem), []) if len(turns) > 1 else [turn for some in turns.values() for turn in some]
    return tuple(sorted(mine, key=lambda turn: (turn.start_s, turn.end_s, turn.speaker)))


def _turn(fields: list[str], place: str) -> SpeakerTurn:
    try:
        start_s, duration_s = float(fields[3]), float(fields[4])
        speaker = fields[7]
    except (ValueError, IndexError) as exc:
        raise SourceError(f"{place} is no SPEAKER line: expected file, channel, start, duration, .., name") from exc
    if not (isfinite(start_s) and isfinite(duration_s) and start_s >= 0 and duration_s >= 0):
        raise SourceError(f"{place}: start {start_s} and duration {duration_s} are no seconds of a recording")
    return SpeakerTurn(start_s, start_s + duration_s, 0, speaker)
