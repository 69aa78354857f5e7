"""What every diarizer takes and gives. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from mmer_ray.records import Embedding, KeptPieces, Turn, Window


@dataclass(frozen=True, slots=True)
class Diarization:
    """Who speaks when in one window."""

    turns: tuple[Turn, ...] = ()
    """Sorted by start, in seconds from the start of the recording. Turns of different speakers may overlap."""
    embeddings: tuple[Embedding, ...] = ()
    """One L2-normalised vector per local speaker, float32, shape (embedding_dim,); empty where the window holds one
    speaker by its channel (`Window.one_speaker`): every turn is speaker 0 then."""
    exclusive_turns: tuple[Turn, ...] = ()
    """The same with one speaker at a time, who is heard best; empty where `turns` do not overlap."""
    kept: KeptPieces | None = None
    """What speakers can be counted from again; None where the diarizer keeps nothing, or the channel is the speaker."""


def in_order_of_appearance(
    turns: Sequence[Turn], embeddings: Sequence[Embedding], exclusive_turns: Sequence[Turn]
) -> Diarization:
    """Number speakers 0, 1, .. by their first turn, whatever numbers they had; one without turns is gone."""
    numbers: dict[int, int] = {}
    for turn in turns:
        numbers.setdefault(turn.speaker, len(numbers))
    renamed, exclusive = (
        tuple(replace(turn, speaker=numbers[turn.speaker]) for turn in some if turn.speaker in numbers)
        for some in (turns, exclusive_turns)
    )
    return Diarization(renamed, tuple(embeddings[speaker] for speaker in numbers), exclusive)


class Diarizer(Protocol):
    """Finds turns. Safe to call from several threads; a window's answer does not depend on its company."""

    @property
    def join_threshold(self) -> float:
        """Cosine distance above which the embeddings of two windows are of two people."""
        ...

    def diarize(self, windows: Sequence[Window]) -> list[Diarization]:
        """Diarize windows: one answer each, in order."""
        ...
