"""What an analyst wants to see first: every call in one row, the mix of feelings, and where it went worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mmer_ray.cli.feelings import UNKNOWN, emotion_of, seconds_by_label

if TYPE_CHECKING:
    from mmer_ray.lake.conversation import Conversation
    from mmer_ray.records import Utterance

WORST_WINDOW_S = 30.0
MIN_ANGRY_S = 1.0
"""Less expected anger than this in `WORST_WINDOW_S` is no moment to point at."""


@dataclass(frozen=True, slots=True)
class CallOverview:
    """One call in a row."""

    name: str
    recording_id: str
    duration_s: float
    num_speakers: int
    customer: str | None
    """Who is taken for the customer: see `customer_of`."""
    customer_feeling: str
    """The label with the most seconds of the customer's speech."""
    angry_share: float
    """Share of the customer's seconds that are labelled angry."""
    talk_share: float
    """The customer's share of all seconds of speech."""
    worst_start_s: float | None
    """Start of the 30 s with the most expected anger of the customer; None for a call without any."""
    worst_angry_s: float


def overview_of(conversation: Conversation) -> CallOverview:
    """Sum up one call."""
    customer = customer_of(conversation.utterances)
    own = [one for one in conversation.utterances if one.speaker == customer]
    seconds, total_s = seconds_by_label(own), sum(seconds_by_label(conversation.utterances).values())
    own_s = sum(seconds.values())
    worst_start_s, worst_angry_s = angriest_window(own)
    row = conversation.recording
    return CallOverview(
        name=PurePosixPath(row["uri"]).name,
        recording_id=row["recording_id"],
        duration_s=(row["duration_ms"] or 0) / 1000,
        num_speakers=row["num_speakers"] or 0,
        customer=customer,
        customer_feeling=next(iter(seconds), UNKNOWN),
        angry_share=seconds.get("angry", 0.0) / own_s if own_s else 0.0,
        talk_share=own_s / total_s if total_s else 0.0,
        worst_start_s=worst_start_s,
        worst_angry_s=worst_angry_s,
    )


def customer_of(utterances: Sequence[Utterance]) -> str | None:
    """Who has the role `customer`; where roles are unknown, whoever speaks second: an agent answers the phone."""
    named = next((one.speaker for one in utterances if one.role == "customer"), None)
    if named is not None:
        return named
    return next((one.speaker for one in utterances if one.speaker != utterances[0].speaker), None)


def angriest_window(utterances: Sequence[Utterance]) -> tuple[float | None, float]:
    """Start of the `WORST_WINDOW_S` with the most expected angry seconds, and those: sum of p(angry) x seconds.

    Windows begin with an utterance and hold those that start in them; (None, ...) below `MIN_ANGRY_S`.
    """
    angry = [(one.start_s, _p_angry(one) * (one.end_s - one.start_s)) for one in utterances]
    sums = [
        (sum(part for at_s, part in angry if start_s <= at_s < start_s + WORST_WINDOW_S), start_s)
        for start_s, _ in angry
    ]
    worst_s, start_s = max(sums, key=lambda one: (one[0], -one[1]), default=(0.0, 0.0))
    return (start_s if worst_s >= MIN_ANGRY_S else None), worst_s


def _p_angry(utterance: Utterance) -> float:
    emotion = emotion_of(utterance)
    return emotion.probabilities.get("angry", 0.0) if emotion else 0.0
