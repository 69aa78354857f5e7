"""Where in a recording several people talk, and where one takes the floor from another: what a player marks.

The definitions are those of the measures (`stages/measures.py`): the marks are as many, and as long, as `calls` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmer_ray.stages.measures import interruptions
from mmer_ray.stages.talk import shared, stretches

if TYPE_CHECKING:
    from mmer_ray.lake.conversation import Conversation


@dataclass(frozen=True, slots=True)
class Interruption:
    """One speaker begins while another talks, and goes on when the other has ended."""

    start_s: float
    speaker: str
    """Who interrupts."""


@dataclass(frozen=True, slots=True)
class TalkMarks:
    """What `talk_marks` finds."""

    overlaps: tuple[tuple[float, float], ...]
    """Start and end in seconds, sorted, apart: at least two speakers talk."""
    interruptions: tuple[Interruption, ...]
    """By start."""


def talk_marks(conversation: Conversation) -> TalkMarks:
    """The overlaps and interruptions of a conversation."""
    together = stretches(conversation.utterances, conversation.turns)
    taken = interruptions(together)
    return TalkMarks(tuple(shared(together)), tuple(Interruption(one.start_s, one.speaker) for one in taken))
