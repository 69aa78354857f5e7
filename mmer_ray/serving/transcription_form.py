"""What a client asks of `POST /v1/audio/transcriptions`, in both generations of OpenAI's contract.

The newer generation takes `languages[]` and `keywords[]`, answers with the languages that it heard, and refuses
`temperature` and `language`. It is told by its model name or by these fields. All names are the same models here: those
of the profile.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Final

from mmer_ray.records import Expected
from mmer_ray.serving.api_errors import invalid
from mmer_ray.serving.form_fields import Fields, expected_of, known_speakers_of, language_code, shown
from mmer_ray.serving.interface import KnownSpeaker

OWN_MODEL: Final = "mmer"
NEWER_MODELS: Final = ("gpt-transcribe",)
OLDER_MODELS: Final = (
    "whisper-1",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-transcribe-2025-12-15",
    "gpt-4o-transcribe-diarize",
)
"""OpenAI ends these on 2027-02-26. Here they stay, as aliases."""
MODELS: Final = (OWN_MODEL, *NEWER_MODELS, *OLDER_MODELS)
FORMATS: Final = ("json", "text", "srt", "vtt", "verbose_json", "diarized_json")
STREAMED_FORMATS: Final = ("json", "text", "diarized_json")
NAMING_FORMATS: Final = ("vtt", "diarized_json")
"""Those that say who speaks."""
GRANULARITIES: Final = ("segment", "word")
SOUND_FIELDS: Final = ("file", "audio_url")
VAD_FIELDS: Final = ("prefix_padding_ms", "silence_duration_ms", "threshold")


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """A valid request, without its sound."""

    model: str
    """As the client called it, one of `MODELS`."""
    is_newer: bool = False
    """Whether the answer names the languages that were heard."""
    expected: Expected = dataclass_field(default_factory=Expected)
    known_speakers: tuple[KnownSpeaker, ...] = ()
    response_format: str = "json"
    granularities: tuple[str, ...] = ("segment",)
    """What `verbose_json` lists: `segment`, `word` or both."""
    logprobs: bool = False
    """Whether each word comes with its log probability."""
    stream: bool = False


def transcription_request(form: Sequence[tuple[str, str]]) -> TranscriptionRequest:
    """Read the text fields, (name, value) pairs in order; those of the sound are left to others.

    Raises `ApiError` (400) that names the field, also for one that is not known or cannot be honoured.
    """
    fields = Fields(form)
    for name in SOUND_FIELDS:
        fields.one(name)
    model = fields.needed("model")
    if model not in MODELS:
        raise invalid("model", f"{shown(model)} is not one of {', '.join(MODELS)}")
    is_newer = model in NEWER_MODELS or "keywords" in fields or "languages" in fields
    response_format = fields.choice("response_format", FORMATS, "json")
    _check_chunking(fields)
    request = TranscriptionRequest(
        model,
        is_newer,
        _expected(fields, is_newer),
        _known_speakers(fields, response_format),
        response_format,
        _granularities(fields, response_format),
        _logprobs(fields, response_format),
        _stream(fields, response_format),
    )
    fields.refuse_others()
    return request


def _expected(fields: Fields, is_newer: bool) -> Expected:
    """The words' part, and the two fields that only the older generation takes."""
    if is_newer:
        for name in ("language", "temperature"):
            if name in fields:
                remedy = "send languages[]" if name == "language" else "leave it out"
                raise invalid(name, f"not taken with languages[], keywords[] or {NEWER_MODELS[0]}; {remedy}")
    expected = expected_of(fields)
    language, temperature = fields.one("language"), fields.one("temperature")
    if temperature is not None and _number(temperature) != 0:
        raise invalid("temperature", f"{shown(temperature)} is not 0: decoding here draws nothing at random")
    if language is not None:
        return Expected((language_code("language", language),), expected.keywords, expected.prompt)
    return expected


def _known_speakers(fields: Fields, response_format: str) -> tuple[KnownSpeaker, ...]:
    known = known_speakers_of(fields)
    if known and response_format not in NAMING_FORMATS:
        message = f"response_format={response_format} names nobody; {', '.join(NAMING_FORMATS)} do"
        raise invalid("known_speaker_names[]", message)
    return known


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _granularities(fields: Fields, response_format: str) -> tuple[str, ...]:
    asked = fields.many("timestamp_granularities")
    for one in asked:
        if one not in GRANULARITIES:
            raise invalid("timestamp_granularities[]", f"{shown(one)} is not one of {', '.join(GRANULARITIES)}")
    if asked and response_format != "verbose_json":
        raise invalid("timestamp_granularities[]", "only response_format=verbose_json has them")
    return tuple(one for one in GRANULARITIES if one in asked) or ("segment",)


def _logprobs(fields: Fields, response_format: str) -> bool:
    asked = fields.many("include")
    for one in asked:
        if one != "logprobs":
            raise invalid("include[]", f"{shown(one)} is not known; logprobs is")
    if asked and response_format != "json":
        raise invalid("include[]", "only response_format=json has logprobs")
    return bool(asked)


def _stream(fields: Fields, response_format: str) -> bool:
    stream = fields.flag("stream")
    if stream and response_format not in STREAMED_FORMATS:
        raise invalid("stream", f"response_format={response_format} is no stream; {', '.join(STREAMED_FORMATS)} are")
    return stream


def _check_chunking(fields: Fields) -> None:
    """Speech is always cut by the profile's voice activity detection, as with `auto`; no request can tune it."""
    name = "chunking_strategy"
    strategy, kind = fields.one(name), fields.one(f"{name}[type]")
    tuned = [key for key in VAD_FIELDS if fields.one(f"{name}[{key}]") is not None]
    if strategy is not None and strategy != "auto":
        try:
            described = json.loads(strategy)
        except (ValueError, RecursionError):
            described = None
        if not isinstance(described, dict):
            raise invalid(name, f"{shown(strategy)} is not auto")
        kind = described.get("type")
        tuned += [key for key in described if key != "type"]
    if tuned:
        raise invalid(f"{name}[{tuned[0][:40]}]", "voice activity detection is set by the profile; send auto")
    if kind is not None and kind != "server_vad":
        raise invalid(f"{name}[type]", f"{shown(str(kind))} is not server_vad")
