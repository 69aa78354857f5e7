"""The fields of transcriptions, for the OpenAPI document. `transcription_formats.py` makes them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mmer_ray.serving.analysis_schema import EmotionPart, Part


class UsagePart(Part):
    """What was heard."""

    type: Literal["duration"]
    seconds: float


class LanguagePart(Part):
    """A language that was heard."""

    code: str
    """ISO 639-1."""


class LogprobPart(Part):
    """A word; the tokens put together are the text."""

    token: str
    bytes: list[int]
    """Of the token in UTF-8."""
    logprob: float | None
    """Null where the word has no probability."""


class PlainTranscription(Part):
    """`json`."""

    text: str
    usage: UsagePart
    languages: list[LanguagePart] = Field(default_factory=list)
    """Those with most speech first; of the newer generation."""
    logprobs: list[LogprobPart] = Field(default_factory=list)
    """With `include[]=logprobs`."""


class TimedWordPart(Part):
    """A word; one that alignment missed has the gap between its neighbours."""

    word: str
    start: float
    end: float


class VerboseSegment(Part):
    """An utterance of one speaker."""

    id: int
    seek: int
    """`start` in frames of 10 ms."""
    start: float
    end: float
    text: str
    tokens: list[int]
    """Empty."""
    temperature: float
    """0: decoding draws nothing at random."""
    avg_logprob: float
    compression_ratio: float
    """Bytes of the text to bytes of it compressed by zlib."""
    no_speech_prob: float
    """0: speech was found before it was read."""
    emotion: EmotionPart | None


class VerboseTranscription(Part):
    """`verbose_json`."""

    task: Literal["transcribe"]
    language: str
    """ISO 639-1; `und` where none is known."""
    duration: float
    text: str
    usage: UsagePart
    languages: list[LanguagePart] = Field(default_factory=list)
    segments: list[VerboseSegment] = Field(default_factory=list)
    words: list[TimedWordPart] = Field(default_factory=list)


class DiarizedSegment(Part):
    """An utterance of one speaker."""

    type: Literal["transcript.text.segment"]
    id: str
    start: float
    end: float
    text: str
    speaker: str
    """The name of a known speaker, else `A`, `B`, ..."""
    emotion: EmotionPart | None


class DiarizedTranscription(Part):
    """`diarized_json`."""

    task: Literal["transcribe"]
    duration: float
    text: str
    segments: list[DiarizedSegment]
    usage: UsagePart
    languages: list[LanguagePart] = Field(default_factory=list)
