"""Who talks when, and who talks at the same time: from utterances alone."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from mmer_ray.records import Utterance
from mmer_ray.stages.intervals import Interval, intersection, seconds, union
from mmer_ray.stages.utterances import MAX_UTTERANCE_S

REACH_S = MAX_UTTERANCE_S + 0.1
"""An utterance that began longer ago is over. The slack is for utterances whose ends were rounded."""


def talk_by_speaker(utterances: Sequence[Utterance]) -> dict[str, list[Interval]]:
    """Speaker -> the stretches in which they talk, speakers sorted by name."""
    speakers = sorted({utterance.speaker for utterance in utterances})
    return {
        speaker: union((one.start_s, one.end_s) for one in utterances if one.speaker == speaker) for speaker in speakers
    }


def overlap_s(utterances: Sequence[Utterance]) -> float:
    """Seconds in which at least two speakers talk."""
    talk = list(talk_by_speaker(utterances).values())
    shared = [
        stretch
        for index, stretches in enumerate(talk)
        for others in talk[index + 1 :]
        for stretch in intersection(stretches, others)
    ]
    return seconds(union(shared))


def overlap_of_each(utterances: Sequence[Utterance]) -> list[float]:
    """For each utterance the seconds in which somebody else talks too; utterances sorted by start."""
    starts_s = [utterance.start_s for utterance in utterances]
    overlaps_s: list[float] = []
    for one in utterances:
        near = utterances[bisect_left(starts_s, one.start_s - REACH_S) : bisect_left(starts_s, one.end_s)]
        others = union((other.start_s, other.end_s) for other in near if other.speaker != one.speaker)
        overlaps_s.append(seconds(intersection([(one.start_s, one.end_s)], others)))
    return overlaps_s
