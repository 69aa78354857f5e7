"""How sure the speakers of a recording's turns and utterances are, from what the diarizer said of each turn."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence

from mmer_ray.records import SpeakerTurn, Utterance

Sure = tuple[float, float, float | None]
"""Start, end and confidence of a stretch."""


def mean_confidence(start_s: float, end_s: float, stretches: Sequence[Sure]) -> float | None:
    """The mean confidence of what lies between two times, by the seconds in it; None where nothing there has one.

    `stretches` are apart, sorted by start.
    """
    first = max(0, bisect_left(stretches, start_s, key=lambda one: one[0]) - 1)
    total = weight_s = 0.0
    for begin_s, until_s, confidence in stretches[first:]:
        if begin_s >= end_s:
            break
        shared_s = min(until_s, end_s) - max(begin_s, start_s)
        if confidence is not None and shared_s > 0:
            total += confidence * shared_s
            weight_s += shared_s
    return total / weight_s if weight_s else None


def confidence_of_each(utterances: Sequence[Utterance], turns: Sequence[SpeakerTurn]) -> list[float | None]:
    """The confidence of each utterance's speaker, in order: that of the speaker's turns in it; turns sorted by start,
    those of one speaker on one channel apart."""
    turns_of: dict[tuple[int, str], list[Sure]] = defaultdict(list)
    for turn in turns:
        turns_of[turn.channel, turn.speaker].append((turn.start_s, turn.end_s, turn.confidence))
    return [mean_confidence(one.start_s, one.end_s, turns_of[one.channel, one.speaker]) for one in utterances]
