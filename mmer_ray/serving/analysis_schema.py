"""The fields of `mmer.analysis/1`, for the OpenAPI document. `analysis.py` makes such documents without these classes:
they would cost seconds for hours of speech."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Table = list[dict[str, Any]]
"""Rows of a table of the lake."""


class Part(BaseModel):
    """Every field is there, null where nothing is known."""

    # Docstrings below fields are their descriptions in the document.
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class EmotionPart(Part):
    """One model's answer for one utterance."""

    scorer: str
    """Name and digest of the model."""
    label: str | None
    """The most probable class; null where `skip_reason` says why."""
    probabilities: dict[str, float | None]
    """Class to probability; empty where the utterance was not asked about."""
    confidence: float | None
    valence: float | None
    """-1 to 1, as arousal and dominance; null for models without dimensions."""
    arousal: float | None
    dominance: float | None
    skip_reason: str | None
    """`too_short`: not asked; `low_confidence`: the label is withheld."""


class WordPart(Part):
    """One word."""

    word: str
    start_s: float | None
    """Null where alignment found no time."""
    end_s: float | None
    p: float | None
    """Mean probability of its characters or tokens."""


class UtterancePart(Part):
    """One speaker's words without a long pause."""

    start_s: float
    end_s: float
    channel: int
    speaker: str
    """`S1`, `S2`, ... by first words."""
    speaker_name: str | None
    """The name of a known speaker."""
    role: str | None
    text: str
    language: str | None
    """ISO 639-1."""
    words: list[WordPart]
    emotion: EmotionPart | None


class TurnPart(Part):
    """One stretch of one speaker, whether its words could be read or not."""

    start_s: float
    end_s: float
    channel: int
    speaker: str
    speaker_name: str | None
    confidence: float | None
    """How much nearer the voice is to this speaker than to the next, 0 to 1."""


class SpeakerPart(Part):
    """One speaker."""

    speaker: str
    name: str | None
    role: str | None
    channel: int | None
    """Where a channel holds this speaker alone."""
    talk_s: float
    """Seconds of all turns."""
    num_utterances: int
    words_per_minute: float | None


class RecordingPart(Part):
    """The audio."""

    content_digest: str
    """BLAKE2b-128 of the bytes, hex."""
    duration_s: float
    channels: int
    sample_rate_hz: int
    codec: str
    container: str
    flags: list[str]
    """What is odd about it."""
    language: str | None
    language_p: float | None
    num_speakers: int
    speech_s: float
    non_speech_s: float
    overlap_s: float


class MeasuresPart(Part):
    """How the conversation went."""

    num_utterances: int
    talk_s: dict[str, float]
    silence_s: float
    overlap_s: float
    interruptions: int
    words_per_minute: dict[str, float | None]
    longest_monologue_s: float
    valence_by_quarter: list[float | None]
    worst_window_start_s: float | None
    """Start of the 30 s with the lowest mean valence."""
    worst_window_valence: float | None


class ModelPart(Part):
    """One model that answered."""

    name: str
    digest: str


class KeysPart(Part):
    """What the answer hangs on: equal keys and equal bytes give equal answers."""

    decode: str
    diarize: str
    transcribe: str
    join: str
    emotion: str
    link: str
    scorer: str
    limits: str
    channel_roles: list[str]


class TablesPart(Part):
    """The rows that the batch job would have written to a lake."""

    recordings: Table
    results: Table
    utterances: Table
    words: Table
    turns: Table
    emotions: Table
    calls: Table


class Analysis(Part):
    """Everything that is known of one recording. Times are seconds from its start, but for `tables`."""

    schema_: Literal["mmer.analysis/1"] = Field(alias="schema")
    profile: str
    recording: RecordingPart
    text: str
    speakers: list[SpeakerPart]
    turns: list[TurnPart]
    utterances: list[UtterancePart]
    measures: MeasuresPart | None
    models: dict[str, ModelPart]
    """The profile's key, such as `transcribe.model`, to the model."""
    keys: KeysPart
    tables: TablesPart
