"""A conversation summed up, for whoever reads a lake: one row per call, the mix of emotions, and the worst moment.

The worst moment is defined here alone. It is the 30 s with the most expected anger, all speakers counted: windows
begin with an utterance and hold the utterances that start in them; an utterance adds its probability of `angry` times
its seconds. Less than `MIN_S` is no moment to point at. Every family has that class, while
`calls.worst_window_*`, the lowest mean valence, is null for models without a valence.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmer_ray.lake.conversation import Conversation
    from mmer_ray.records import Emotion, Utterance

UNKNOWN = "unknown"
"""Stands for the label of an utterance that was not scored."""
ANGRY = "angry"
WORST_WINDOW_S = 30.0
MIN_S = 1.0
"""What a moment holds at least: seconds as `Moment.bad_s` has them."""
NEGATIVE = (ANGRY, "sad", "fear", "disgust", "contempt")
"""Labels that count as negative."""


@dataclass(frozen=True, slots=True)
class Moment:
    """`WORST_WINDOW_S` of a recording."""

    start_s: float
    bad_s: float
    """Expected seconds of anger in it, or, where no anger led to it, seconds of utterances with a negative label."""


@dataclass(frozen=True, slots=True)
class CallOverview:
    """One call in a row."""

    name: str
    recording_id: str
    duration_s: float
    num_speakers: int
    customer: str | None
    """Who is taken for the customer: see `customer_of`."""
    customer_emotion: str
    """The label with the most seconds of the customer's speech."""
    angry_share: float
    """Share of the customer's seconds that are labelled angry."""
    talk_share: float
    """The customer's share of all seconds of speech."""
    worst_start_s: float | None
    """Start of the worst moment; None for a call without one."""
    worst_angry_s: float


def overview_of(conversation: Conversation) -> CallOverview:
    """Sum up one call."""
    customer = customer_of(conversation.utterances)
    own = [one for one in conversation.utterances if one.speaker == customer]
    seconds, total_s = seconds_by_label(own), sum(seconds_by_label(conversation.utterances).values())
    own_s = sum(seconds.values())
    worst = worst_moment(conversation.utterances)
    row = conversation.recording
    return CallOverview(
        name=PurePosixPath(row["uri"]).name,
        recording_id=row["recording_id"],
        duration_s=(row["duration_ms"] or 0) / 1000,
        num_speakers=row["num_speakers"] or 0,
        customer=customer,
        customer_emotion=next(iter(seconds), UNKNOWN),
        angry_share=seconds.get(ANGRY, 0.0) / own_s if own_s else 0.0,
        talk_share=own_s / total_s if total_s else 0.0,
        worst_start_s=None if worst is None else worst.start_s,
        worst_angry_s=0.0 if worst is None else worst.bad_s,
    )


def customer_of(utterances: Sequence[Utterance]) -> str | None:
    """Who has the role `customer`; where roles are unknown, whoever speaks second: an agent answers the phone."""
    named = next((one.speaker for one in utterances if one.role == "customer"), None)
    if named is not None:
        return named
    return next((one.speaker for one in utterances if one.speaker != utterances[0].speaker), None)


def worst_moment(utterances: Sequence[Utterance]) -> Moment | None:
    """Find the worst moment, or None where there is too little anger; utterances sorted by start.

    Of equal windows the latest is taken: it begins with the anger.
    """
    return next(iter(_by_anger(utterances)), None)


def negative_moments(utterances: Sequence[Utterance]) -> list[Moment]:
    """Find the moments to point at, by start: the worst one, the worst of those that do not touch it, and so on, then
    those with the most seconds of utterances whose label is of `NEGATIVE`; utterances sorted by start."""
    taken: list[Moment] = []
    for one in [*_by_anger(utterances), *_worst_first(utterances, _negative_s)]:
        at = bisect_left(taken, one.start_s, key=lambda other: other.start_s)
        beside = taken[max(at - 1, 0) : at + 1]
        if all(abs(one.start_s - other.start_s) >= WORST_WINDOW_S for other in beside):
            taken.insert(at, one)
    return taken


def _by_anger(utterances: Sequence[Utterance]) -> list[Moment]:
    """The windows with enough anger, the worst first."""
    return _worst_first(utterances, _angry_s)


def _worst_first(utterances: Sequence[Utterance], seconds_of: Callable[[Utterance], float]) -> list[Moment]:
    """The windows whose utterances have at least `MIN_S` in all, the most first."""
    starts_s = [one.start_s for one in utterances]
    sums_s = [0.0, *accumulate(seconds_of(one) for one in utterances)]
    found = [
        Moment(start_s, sums_s[bisect_left(starts_s, start_s + WORST_WINDOW_S)] - sums_s[index])
        for index, start_s in enumerate(starts_s)
    ]
    enough = [one for one in found if one.bad_s >= MIN_S]
    return sorted(enough, key=lambda one: (one.bad_s, one.start_s), reverse=True)


def emotion_of(utterance: Utterance) -> Emotion | None:
    """The emotion to show: a conversation holds at most one per utterance."""
    return utterance.emotions[0] if utterance.emotions else None


def label_of(utterance: Utterance) -> str:
    """The utterance's label, `UNKNOWN` when it was not scored."""
    emotion = emotion_of(utterance)
    return emotion.label if emotion and emotion.label else UNKNOWN


def seconds_by_label(utterances: Iterable[Utterance]) -> dict[str, float]:
    """Label -> seconds of utterances that have it, the most first."""
    return _ranked((label_of(one), one.end_s - one.start_s) for one in utterances)


def seconds_by_language(utterances: Iterable[Utterance]) -> dict[str, float]:
    """Language -> seconds of utterances in it, the most first; utterances of unknown language are left out."""
    return _ranked((one.language, one.end_s - one.start_s) for one in utterances if one.language)


def _ranked(parts: Iterable[tuple[str, float]]) -> dict[str, float]:
    seconds: defaultdict[str, float] = defaultdict(float)
    for name, part_s in parts:
        seconds[name] += part_s
    return dict(sorted(seconds.items(), key=lambda item: (-item[1], item[0])))


def _angry_s(utterance: Utterance) -> float:
    emotion = emotion_of(utterance)
    return 0.0 if emotion is None else emotion.probabilities.get(ANGRY, 0.0) * (utterance.end_s - utterance.start_s)


def _negative_s(utterance: Utterance) -> float:
    return utterance.end_s - utterance.start_s if label_of(utterance) in NEGATIVE else 0.0
