"""Who talks when, and who talks at the same time: from utterances, and from turns where a channel has several people.

A recognizer hears one voice at a time, so utterances of one channel never overlap; the turns of a diarizer may.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

from mmer_ray.records import SpeakerTurn, Utterance
from mmer_ray.stages.intervals import Interval, intersection, seconds, union


class Stretch(NamedTuple):
    """One speaker talks without a long pause."""

    start_s: float
    end_s: float
    speaker: str


def talk_by_speaker(utterances: Iterable[Utterance | Stretch]) -> dict[str, list[Interval]]:
    """Speaker -> the stretches in which they talk, speakers sorted by name."""
    intervals: dict[str, list[Interval]] = {}
    for one in utterances:
        intervals.setdefault(one.speaker, []).append((one.start_s, one.end_s))
    return {speaker: union(intervals[speaker]) for speaker in sorted(intervals)}


def stretches(utterances: Sequence[Utterance], turns: Sequence[SpeakerTurn] = ()) -> list[Stretch]:
    """Say who talks when, sorted by start: by the turns of channels whose turns overlap, by utterances elsewhere."""
    overlapping = {channel for channel in {turn.channel for turn in turns} if _overlap_on(channel, turns)}
    talk = [Stretch(one.start_s, one.end_s, one.speaker) for one in utterances if one.channel not in overlapping]
    talk += [Stretch(turn.start_s, turn.end_s, turn.speaker) for turn in turns if turn.channel in overlapping]
    return sorted(talk)


def overlap_s(talk: Iterable[Utterance | Stretch]) -> float:
    """Seconds in which at least two speakers talk."""
    return seconds(shared(talk))


def overlap_of_each(utterances: Sequence[Utterance], talk: Sequence[Stretch]) -> list[float]:
    """For each utterance the seconds in which somebody else talks too; `talk` as `stretches` gives it."""
    longest_s = max((one.end_s - one.start_s for one in talk), default=0.0)
    starts_s = [one.start_s for one in talk]
    overlaps_s: list[float] = []
    for one in utterances:
        near = talk[bisect_left(starts_s, one.start_s - longest_s) : bisect_left(starts_s, one.end_s)]
        others = union((other.start_s, other.end_s) for other in near if other.speaker != one.speaker)
        overlaps_s.append(seconds(intersection([(one.start_s, one.end_s)], others)))
    return overlaps_s


def _overlap_on(channel: int, turns: Sequence[SpeakerTurn]) -> bool:
    return bool(shared(Stretch(turn.start_s, turn.end_s, turn.speaker) for turn in turns if turn.channel == channel))


def shared(talk: Iterable[Utterance | Stretch]) -> list[Interval]:
    """When at least two speakers talk: sorted, apart."""
    by_speaker = talk_by_speaker(talk).values()
    return union(common for left, right in combinations(by_speaker, 2) for common in intersection(left, right))
