"""What every recognizer takes and gives. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from mmer_ray.records import DroppedWords, Expected, Samples


class Chunk(NamedTuple):
    """A stretch of speech that is read at once."""

    samples: Samples
    """Mono 16 kHz, int16, shape (num_samples,)."""
    language: str | None = None
    """ISO 639-1 code, where the language is known beforehand."""
    group: int | None = None
    """Neighbours with one number are of one window: a member that tells languages apart judges theirs together. None:
    the chunk is judged alone."""
    expected: Expected = Expected()
    """What the caller knows of its words; the same in a group."""
    splices: tuple[int, ...] = ()
    """Samples at which another stretch of speech begins, in order; the pause before it is left out."""


class TimedWord(NamedTuple):
    """A word of a chunk."""

    word: str
    start_s: float
    """From the chunk's start, as `end_s`."""
    end_s: float
    p: float
    """Mean probability of its characters or tokens, 0..1."""
    logprob: float | None = None
    """Mean log probability over the word's own frames; None where the member gives one per chunk alone."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was read from a chunk."""

    words: tuple[TimedWord, ...] = ()
    """Sorted by start."""
    language: str | None = None
    language_p: float | None = None
    """Probability of the language; None where the member gives none."""
    logprob: float | None = None
    """Mean log probability of the whole transcript; None where there is nothing to average."""
    fallback_reason: str | None = None
    """Why the chunk was read a second time; None where the first answer stood."""
    dropped: tuple[DroppedWords, ...] = ()
    """What was read and is not among `words`; times from the chunk's start."""


class Recognizer(Protocol):
    """Reads chunks. Safe to call from several threads; a group of chunks reads the same alone and in any company."""

    @property
    def max_chunk_s(self) -> float:
        """The longest chunk that the member reads well."""
        ...

    @property
    def packs_chunks(self) -> bool:
        """Whether stretches of speech that lie apart are put together in chunks of up to `max_chunk_s`: for a member
        whose cost does not depend on a chunk's length."""
        ...

    @property
    def margin_s(self) -> float:
        """How far the member is given the sound before and after speech: diarizers end turns at once, and words fade.
        A word that is heard there belongs to the turn that is nearest."""
        ...

    def check_expected(self, expected: Expected) -> None:
        """Raise `UsageError` for what the member cannot heed; the message begins with the field that is meant."""
        ...

    def transcribe(self, chunks: Sequence[Chunk]) -> list[Transcript]:
        """Read chunks of any lengths up to `max_chunk_s`: one transcript each, in order."""
        ...
