"""The JSON messages of a live call: the first one of the client, and those that it is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mmer_ray.audio.limits import MIN_RATE_HZ
from mmer_ray.options import LANGUAGE_CODE
from mmer_ray.records import Expected, Utterance, Word
from mmer_ray.serving.api_errors import ApiError, invalid
from mmer_ray.serving.transcription_formats import emotion_of, finite

MAX_RATE_HZ = 48_000
MAX_TEXT_CHARS = 64 << 10
"""Longest message of text that a client sends."""
MAX_KEYWORDS = 1_000


class Start(BaseModel):
    """`{"type": "start", ...}`: what follows in binary messages, 16-bit little-endian PCM, channels interleaved."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    type: str = Field(pattern="^start$")
    sample_rate: int = Field(ge=MIN_RATE_HZ, le=MAX_RATE_HZ)
    channels: int = Field(1, ge=1, le=2)
    """Of two, each holds one party."""
    languages: list[str] = Field(default_factory=list, max_length=100)
    """ISO 639-1."""
    keywords: list[str] = Field(default_factory=list, max_length=MAX_KEYWORDS)
    prompt: str = ""

    @property
    def expected(self) -> Expected:
        return Expected(tuple(self.languages), tuple(self.keywords), self.prompt)


def start_of(text: str) -> Start:
    """Read the first message. Raises `ApiError` (400) that names the field."""
    try:
        start = Start.model_validate(message_of(text))
    except ValidationError as exc:
        error = exc.errors()[0]
        field = ".".join(str(part) for part in error["loc"])[:80] or "start"
        raise invalid(field, str(error["msg"])) from exc
    for language in start.languages:
        if not re.fullmatch(LANGUAGE_CODE, language):
            raise invalid("languages", "not an ISO 639-1 code; send for example en")
    if not all(keyword.strip() for keyword in start.keywords):
        raise invalid("keywords", "a keyword is empty; leave it out")
    for field, texts in (("keywords", start.keywords), ("prompt", [start.prompt])):
        if any("\ud800" <= char <= "\udfff" for text in texts for char in text):
            # JSON can name half of a character, and tokenizers take none.
            raise invalid(field, "holds half of a surrogate pair, which is no character")
    return start


def message_of(text: str) -> Mapping[str, Any]:
    """Read a message of text: a JSON object with a `type`. Raises `ApiError` (400)."""
    if len(text) > MAX_TEXT_CHARS:
        raise ApiError(413, "message_too_big", f"a message of text has {MAX_TEXT_CHARS} characters at most")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ApiError(400, "invalid_json", "a message of text is no JSON") from exc
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise invalid("type", 'a message of text is a JSON object with a "type": start or end')
    return message


def utterance_message(number: int, one: Utterance, channel: int, offset_s: float) -> dict[str, Any]:
    """A finished utterance. `offset_s`: where the stretch that it was found in begins."""
    return {
        "type": "utterance",
        "number": number,
        "is_provisional": True,
        "channel": channel,
        "start_s": _moved(one.start_s, offset_s),
        "end_s": _moved(one.end_s, offset_s),
        "speaker": one.speaker_name,
        "text": one.text,
        "language": one.language,
        "words": [_word(word, offset_s) for word in one.words],
        "emotion": emotion_of(one),
    }


def progress_message(received_s: float, is_speaking: bool, num_waiting: int) -> dict[str, Any]:
    """How far the sound has been heard. `num_waiting`: stretches of speech that are scored or wait for it."""
    return {
        "type": "progress",
        "received_s": round(received_s, 3),
        "is_speaking": is_speaking,
        "num_waiting": num_waiting,
    }


def skipped_message(channel: int, start_s: float, end_s: float) -> dict[str, Any]:
    """Speech that the models are too busy for: its words come with the final message alone."""
    return {"type": "skipped", "channel": channel, "start_s": round(start_s, 3), "end_s": round(end_s, 3)}


def error_message(refusal: ApiError, request_id: str) -> dict[str, Any]:
    """Why the call ends without a final message."""
    return {"type": "error", "status": refusal.status, **refusal.body(request_id)}


def _word(word: Word, offset_s: float) -> dict[str, Any]:
    return {
        "word": word.word,
        "start_s": None if word.start_s is None else _moved(word.start_s, offset_s),
        "end_s": None if word.end_s is None else _moved(word.end_s, offset_s),
        "p": finite(word.p),
    }


def _moved(time_s: float, offset_s: float) -> float:
    return round(time_s + offset_s, 3)
