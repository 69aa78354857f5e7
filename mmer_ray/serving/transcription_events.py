"""A scored recording as the server-sent events of OpenAI's transcription API.

Speakers are known at the end of a recording only, so the events follow each other once it is scored: a client sees its
text in pieces, and an error has its own status instead of standing in a stream.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmer_ray.records import ScoredRecording, Utterance
from mmer_ray.serving.transcription_form import TranscriptionRequest
from mmer_ray.serving.transcription_formats import (
    json_bytes,
    labelled,
    languages_of,
    logprobs_of,
    segment_id,
    segment_of,
    text_of,
)

MEDIA_TYPE = "text/event-stream; charset=utf-8"


def events(scored: ScoredRecording, request: TranscriptionRequest) -> Iterator[dict[str, Any]]:
    """`transcript.text.delta` for each utterance, with `diarized_json` its `.segment` too, then `.done`.

    The deltas put together are the text of `.done`.
    """
    utterances = labelled(scored.utterances)
    is_diarized = request.response_format == "diarized_json"
    is_first = True
    for index, one in enumerate(utterances):
        if one.text:
            yield _delta(index, one, request, is_first=is_first)
            is_first = False
        if is_diarized:
            yield segment_of(index, one)
    done: dict[str, Any] = {"type": "transcript.text.done", "text": text_of(utterances)}
    if request.is_newer:
        done["languages"] = languages_of(scored)
    if request.logprobs:
        done["logprobs"] = logprobs_of([word for one in utterances for word in one.words])
    yield done


def frame(event: dict[str, Any]) -> bytes:
    """One event on the wire (html.spec.whatwg.org, "Server-sent events"). JSON has no bare line break."""
    return b"event: " + str(event["type"]).encode() + b"\ndata: " + json_bytes(event) + b"\n\n"


def _delta(index: int, one: Utterance, request: TranscriptionRequest, *, is_first: bool) -> dict[str, Any]:
    event: dict[str, Any] = {"type": "transcript.text.delta", "delta": one.text if is_first else f" {one.text}"}
    if request.response_format == "diarized_json":
        event["segment_id"] = segment_id(index)
    if request.logprobs:
        event["logprobs"] = logprobs_of(one.words, is_first=is_first)
    return event
