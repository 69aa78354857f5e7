"""A scored recording as the answers of OpenAI's transcription API.

A segment is an utterance: one speaker's words without a long pause. What OpenAI's shapes have no place for stands under
one key more, `emotion`. Of `verbose_json`, `tokens` is empty and `no_speech_prob` 0, since a segment is speech that
was found before it was read; `language` is the ISO 639-1 code, `und` where none is known.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from typing import Any

from mmer_ray.export.subtitles import to_srt, to_vtt
from mmer_ray.lake.columns import clean
from mmer_ray.records import Emotion, ScoredRecording, Utterance, Word
from mmer_ray.serving.transcription_form import TranscriptionRequest

UNKNOWN_LANGUAGE = "und"
"""ISO 639-2's code for a language that is not determined."""
FRAMES_PER_S = 100
"""`seek` counts frames of 10 ms."""
MEDIA_TYPES = {
    "text": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}
"""The other formats are JSON."""


@dataclass(frozen=True, slots=True)
class Body:
    """The body of an answer."""

    content: bytes
    media_type: str


def transcription(scored: ScoredRecording, request: TranscriptionRequest) -> Body:
    """The whole answer in the format that was asked for."""
    utterances = labelled(scored.utterances)
    text = {
        "text": lambda: f"{text_of(utterances)}\n",
        "srt": lambda: to_srt(utterances, speakers=False),
        "vtt": lambda: to_vtt(utterances),
    }.get(request.response_format)
    if text is not None:
        return Body(clean(text()).encode(), MEDIA_TYPES[request.response_format])
    document = {"json": _plain, "verbose_json": _verbose, "diarized_json": _diarized}[request.response_format]
    return Body(json_bytes(document(scored, utterances, request)), "application/json")


def json_bytes(document: dict[str, Any]) -> bytes:
    """UTF-8 JSON. What is no text in a string becomes `?`."""
    return clean(json.dumps(document, ensure_ascii=False, allow_nan=False)).encode()


def text_of(utterances: Sequence[Utterance]) -> str:
    """All that was said."""
    return " ".join(one.text for one in utterances if one.text)


def languages_of(scored: ScoredRecording) -> list[dict[str, str]]:
    """The languages that were heard, those with most speech first."""
    seconds: dict[str, float] = {}
    for one in scored.utterances:
        if one.language is not None:
            seconds[one.language] = seconds.get(one.language, 0.0) + one.end_s - one.start_s
    return [{"code": code} for code in sorted(seconds, key=lambda code: (-seconds[code], code))]


def logprobs_of(words: Sequence[Word], *, is_first: bool = True) -> list[dict[str, Any]]:
    """Each word's log probability; the words put together are the text, so all but the first begin with a blank."""
    return [
        {
            "token": (token := word.word if is_first and index == 0 else f" {word.word}"),
            "bytes": list(clean(token).encode()),
            "logprob": _log(word.p),
        }
        for index, word in enumerate(words)
    ]


def segment_of(index: int, one: Utterance) -> dict[str, Any]:
    """A segment of `diarized_json`, which is also the event of a stream."""
    return {
        "type": "transcript.text.segment",
        "id": segment_id(index),
        "start": one.start_s,
        "end": one.end_s,
        "text": one.text,
        "speaker": one.called,
        "emotion": emotion_of(one),
    }


def segment_id(index: int) -> str:
    """The name of a segment in streams and `diarized_json`."""
    return f"seg_{index}"


def emotion_of(one: Utterance) -> dict[str, Any] | None:
    """An utterance's emotion; None where no model was asked. Numbers that are none are null."""
    return emotion_fields(one.emotions[0]) if one.emotions else None


def emotion_fields(emotion: Emotion) -> dict[str, Any]:
    """One model's answer as plain data."""
    fields = asdict(emotion)
    fields["probabilities"] = {label: finite(p) for label, p in emotion.probabilities.items()}
    for name in ("confidence", "valence", "arousal", "dominance"):
        fields[name] = finite(fields[name])
    return fields


def finite(number: float | None) -> float | None:
    """JSON knows no infinity."""
    return number if number is not None and math.isfinite(number) else None


def labelled(utterances: Sequence[Utterance]) -> tuple[Utterance, ...]:
    """Every speaker called as OpenAI's API does: by the known name, else `A`, `B`, ... in the order of `S1`, `S2`."""
    names = {one.speaker: one.speaker_name for one in utterances}
    letters = (label for label in _letters() if label not in names.values())
    for speaker in sorted(names, key=lambda speaker: (len(speaker), speaker)):
        names[speaker] = names[speaker] or next(letters)
    return tuple(replace(one, speaker_name=names[one.speaker]) for one in utterances)


def _letters() -> Iterator[str]:
    """`A` to `Z`, `AA`, `AB`, ..."""
    for number in count():
        label, left = "", number + 1
        while left:
            left, digit = divmod(left - 1, 26)
            label = chr(ord("A") + digit) + label
        yield label


def _plain(scored: ScoredRecording, utterances: Sequence[Utterance], request: TranscriptionRequest) -> dict[str, Any]:
    document: dict[str, Any] = {"text": text_of(utterances), "usage": _usage(scored)}
    if request.is_newer:
        document["languages"] = languages_of(scored)
    if request.logprobs:
        document["logprobs"] = logprobs_of([word for one in utterances for word in one.words])
    return document


def _verbose(scored: ScoredRecording, utterances: Sequence[Utterance], request: TranscriptionRequest) -> dict[str, Any]:
    document: dict[str, Any] = {
        "task": "transcribe",
        "language": scored.language or UNKNOWN_LANGUAGE,
        "duration": _duration_s(scored),
        "text": text_of(utterances),
        "usage": _usage(scored),
    }
    if request.is_newer:
        document["languages"] = languages_of(scored)
    if "segment" in request.granularities:
        document["segments"] = [_verbose_segment(index, one) for index, one in enumerate(utterances)]
    if "word" in request.granularities:
        document["words"] = [word for one in utterances for word in _timed_words(one)]
    return document


def _diarized(
    scored: ScoredRecording, utterances: Sequence[Utterance], request: TranscriptionRequest
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "task": "transcribe",
        "duration": _duration_s(scored),
        "text": text_of(utterances),
        "segments": [segment_of(index, one) for index, one in enumerate(utterances)],
        "usage": _usage(scored),
    }
    if request.is_newer:
        document["languages"] = languages_of(scored)
    return document


def _verbose_segment(index: int, one: Utterance) -> dict[str, Any]:
    text = clean(one.text).encode()
    return {
        "id": index,
        "seek": round(one.start_s * FRAMES_PER_S),
        "start": one.start_s,
        "end": one.end_s,
        "text": one.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": _mean_logprob(one),
        "compression_ratio": len(text) / len(zlib.compress(text)),
        "no_speech_prob": 0.0,
        "emotion": emotion_of(one),
    }


def _mean_logprob(one: Utterance) -> float:
    """The recognizer's own, else the mean over the words; 0 where neither is known, since the shape wants a number."""
    own = finite(one.asr_logprob)
    if own is not None:
        return own
    known = [log for word in one.words if (log := _log(word.p)) is not None]
    return sum(known) / len(known) if known else 0.0


def _timed_words(one: Utterance) -> Iterator[dict[str, Any]]:
    """Words with times. One that alignment gave no time has the gap between those that have one."""
    end_s = one.start_s
    for index, word in enumerate(one.words):
        later = (after.start_s for after in one.words[index + 1 :] if after.start_s is not None)
        start_s = end_s if word.start_s is None else word.start_s
        end_s = max(start_s, next(later, one.end_s) if word.end_s is None else word.end_s)
        yield {"word": word.word, "start": start_s, "end": end_s}


def _log(p: float) -> float | None:
    return math.log(p) if 0 < p < math.inf else None


def _usage(scored: ScoredRecording) -> dict[str, Any]:
    return {"type": "duration", "seconds": _duration_s(scored)}


def _duration_s(scored: ScoredRecording) -> float:
    assert scored.audio is not None, "a scored recording has its facts"
    return scored.audio.duration_s
