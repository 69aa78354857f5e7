"""What is known of labelled speech. Its sound stays where it lies until it is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Sex = Literal["female", "male"]
Style = Literal["scripted", "improvised"]


@dataclass(frozen=True)
class Sound:
    """Where an utterance's samples lie."""

    path: Path
    start_ms: int = 0
    end_ms: int | None = None
    """None: to the end."""
    channel: int | None = None
    """None: the mean of all."""
    trimmed: bool = False
    """Whether the silence before and after the speech is cut off: of acted speech, where it tells the actor's take."""


@dataclass(frozen=True)
class Utterance:
    """One labelled utterance; None where the corpus does not say."""

    utterance_id: str
    """Unique in its corpus."""
    sound: Sound
    speaker: str
    label: str | None = None
    text: str | None = None
    """The reference transcript. Empty: nothing was said in words, which is no reason to leave it out."""
    shares: Mapping[str, float] | None = None
    """Label -> share of the raters who chose it; the shares sum to 1."""
    dimensions: tuple[float, float, float] | None = None
    """Valence, arousal, dominance, -1..1; NaN where one is not known."""
    dialogue: str | None = None
    session: str | None = None
    sex: Sex | None = None
    style: Style | None = None
    sentence: str | None = None
    """Which of the corpus's fixed sentences is said."""
    partition: str | None = None
    """The corpus's own part that it belongs to: "train", "development", "test" or "test1", .."""
    read_from: str = ""
    """File and, where it has lines, line that said so, for messages: "labels.csv:17"."""


@dataclass(frozen=True)
class Corpus:
    """Labelled speech of one kind."""

    name: str
    utterances: tuple[Utterance, ...]
    labels: tuple[str, ...]
    """In the order of the corpus's own definition."""
    digest: str
    """SHA-256, hexadecimal, over the ids, labels, shares, dimensions, texts, and the places and sizes of the sounds:
    names the data in a model's card."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Why an utterance of the corpus is not among these -> how many are not, such as "label xxx: no agreement"."""
    notes: tuple[str, ...] = ()
    """What a reader of figures on it has to know."""


@dataclass(frozen=True)
class Split:
    """One fold: who is trained on, who chooses, who is tested. No speaker is in two of the three."""

    name: str
    """Such as "Session 1", unique among the folds of a protocol."""
    train: tuple[Utterance, ...]
    development: tuple[Utterance, ...]
    test: tuple[Utterance, ...]
