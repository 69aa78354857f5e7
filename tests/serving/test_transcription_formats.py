"""The answers in each format, and the events of a stream, held against the types of the `openai` package."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from openai.types.audio import (
    Transcription,
    TranscriptionDiarized,
    TranscriptionTextDeltaEvent,
    TranscriptionTextDoneEvent,
    TranscriptionTextSegmentEvent,
    TranscriptionVerbose,
)

from mmer_ray.records import ScoredRecording, Utterance, Word
from mmer_ray.serving.transcription_events import events, frame
from mmer_ray.serving.transcription_form import TranscriptionRequest
from mmer_ray.serving.transcription_formats import labelled, transcription
from tests.export.makers import said, spoken
from tests.serving.cheap_scorers import EMOTION, SCORED

NOBODY = replace(SCORED, utterances=(), turns=(), num_speakers=0, language=None, language_p=None)


def asked(response_format: str = "json", **fields: Any) -> TranscriptionRequest:
    return TranscriptionRequest("whisper-1", response_format=response_format, **fields)


def answer(scored: ScoredRecording, response_format: str = "json", **fields: Any) -> dict[str, Any]:
    body = transcription(scored, asked(response_format, **fields))
    assert body.media_type == "application/json"
    document: dict[str, Any] = json.loads(body.content)
    return document


def with_utterances(*utterances: Utterance) -> ScoredRecording:
    return replace(SCORED, utterances=utterances)


def test_json_is_the_text_and_the_seconds_that_were_heard() -> None:
    document = answer(SCORED)

    assert document == {"text": "good morning hello", "usage": {"type": "duration", "seconds": 2.0}}
    Transcription.model_validate(document, strict=True)


def test_the_newer_generation_names_the_languages_by_seconds_of_speech() -> None:
    scored = with_utterances(
        replace(said(0, 1, "ja"), language="de"),
        replace(said(1, 4, "yes"), language="en"),
        replace(said(4, 5, "doch"), language="de"),
        said(5, 9, "hm"),
    )

    assert answer(scored, is_newer=True)["languages"] == [{"code": "en"}, {"code": "de"}]
    assert answer(NOBODY, is_newer=True)["languages"] == []
    assert answer(scored, "diarized_json", is_newer=True)["languages"][0] == {"code": "en"}


def test_logprobs_are_those_of_the_words_and_their_tokens_are_the_text() -> None:
    document = answer(SCORED, logprobs=True)

    assert "".join(one["token"] for one in document["logprobs"]) == document["text"]
    assert bytes(document["logprobs"][1]["bytes"]) == b" morning"
    assert [one["logprob"] for one in document["logprobs"]] == [math.log(p) for p in (0.9, 0.8, 0.9)]
    Transcription.model_validate(document, strict=True)


@pytest.mark.parametrize("p", [0.0, math.nan])
def test_a_word_without_a_probability_has_no_log_of_it(p: float) -> None:
    scored = with_utterances(Utterance(0, 1, 0, "S1", "so", (Word("so", 0, 1, p),)))

    assert answer(scored, logprobs=True)["logprobs"][0]["logprob"] is None


def test_text_is_plain() -> None:
    body = transcription(SCORED, asked("text"))

    assert body.content == b"good morning hello\n"
    assert body.media_type.startswith("text/plain")
    assert transcription(NOBODY, asked("text")).content == b"\n"


def test_srt_has_the_words_alone() -> None:
    assert transcription(SCORED, asked("srt")).content.decode() == (
        "1\n00:00:00,250 --> 00:00:01,250\ngood morning\n\n2\n00:00:01,500 --> 00:00:01,750\nhello\n"
    )
    assert transcription(NOBODY, asked("srt")).content == b""


def test_vtt_names_the_voice_and_its_emotion() -> None:
    body = transcription(SCORED, asked("vtt"))

    assert body.content.decode() == (
        "WEBVTT\n\n00:00:00.250 --> 00:00:01.250\n<v.happy A>good morning\n"
        "\n00:00:01.500 --> 00:00:01.750\n<v B>hello\n"
    )
    assert body.media_type.startswith("text/vtt")


def test_verbose_json_has_a_segment_for_each_utterance_with_its_emotion() -> None:
    document = answer(SCORED, "verbose_json")

    TranscriptionVerbose.model_validate(document, strict=True)
    assert document["language"] == "en"
    assert "words" not in document
    first, second = document["segments"]
    assert (first["id"], first["seek"], first["start"], first["end"]) == (0, 25, 0.25, 1.25)
    assert first["avg_logprob"] == -0.25
    assert first["emotion"]["label"] == "happy"
    assert first["emotion"]["probabilities"] == EMOTION.probabilities
    assert first["emotion"]["valence"] == 0.5
    assert second["emotion"]["label"] is None
    assert second["emotion"]["skip_reason"] == "too_short"


def test_verbose_json_lists_words_where_they_are_asked_for() -> None:
    document = answer(SCORED, "verbose_json", granularities=("word",))

    assert "segments" not in document
    assert document["words"][1] == {"word": "morning", "start": 0.75, "end": 1.25}
    TranscriptionVerbose.model_validate(document, strict=True)


def test_a_word_that_alignment_missed_has_the_gap_between_its_neighbours() -> None:
    words = (
        Word("a", None, None, 0.5),
        Word("b", 1.0, 1.5, 0.5),
        Word("c", None, None, 0.5),
        Word("d", 2.0, None, 0.5),
    )
    scored = with_utterances(Utterance(0.5, 3.0, 0, "S1", "a b c d", words))

    found = answer(scored, "verbose_json", granularities=("word",))["words"]

    assert [(word["start"], word["end"]) for word in found] == [(0.5, 1.0), (1.0, 1.5), (1.5, 2.0), (2.0, 3.0)]


def test_silence_is_an_answer_without_segments() -> None:
    verbose, diarized = answer(NOBODY, "verbose_json"), answer(NOBODY, "diarized_json")

    assert (verbose["text"], verbose["segments"], verbose["language"]) == ("", [], "und")
    assert diarized["segments"] == []
    TranscriptionVerbose.model_validate(verbose, strict=True)
    TranscriptionDiarized.model_validate(diarized, strict=True)


def test_a_segment_without_a_logprob_has_the_mean_of_its_words() -> None:
    segments = answer(with_utterances(spoken(0, ["so", "so"]), said(2, 3, "hm")), "verbose_json")["segments"]

    assert segments[0]["avg_logprob"] == pytest.approx(math.log(0.9))
    assert segments[1]["avg_logprob"] == 0.0


def test_repeated_text_compresses_well() -> None:
    segments = answer(with_utterances(said(0, 9, "no " * 100), said(9, 10, "quite different")), "verbose_json")[
        "segments"
    ]

    assert segments[0]["compression_ratio"] > 10
    assert segments[1]["compression_ratio"] < 1.1


def test_diarized_json_letters_the_speakers() -> None:
    document = answer(SCORED, "diarized_json")

    TranscriptionDiarized.model_validate(document, strict=True)
    assert [(one["speaker"], one["text"]) for one in document["segments"]] == [("A", "good morning"), ("B", "hello")]
    assert document["segments"][0]["emotion"]["label"] == "happy"


def test_a_known_speaker_has_the_name_and_nobody_else_has_it() -> None:
    some = labelled(
        [
            said(0, 1, "x", "S10"),
            replace(said(1, 2, "x", "S1"), speaker_name="B"),
            said(2, 3, "x", "S2"),
            said(3, 4, "x", "S3"),
        ]
    )

    assert [one.called for one in some] == ["D", "B", "A", "C"]


def test_letters_go_on_after_z() -> None:
    some = labelled([said(0, 1, "x", f"S{number}") for number in range(1, 29)])

    assert [one.called for one in some[25:]] == ["Z", "AA", "AB"]


def test_numbers_that_are_none_are_null_and_no_text_breaks_the_json() -> None:
    emotion = replace(EMOTION, probabilities={"angry": math.nan}, confidence=math.inf, valence=math.nan)
    scored = with_utterances(replace(said(0, 1, 'a "b"\n\udc80 </script>'), emotions=(emotion,), asr_logprob=-math.inf))

    segment = answer(scored, "verbose_json")["segments"][0]

    assert segment["emotion"]["probabilities"] == {"angry": None}
    assert segment["emotion"]["confidence"] is None
    assert segment["avg_logprob"] == 0.0
    assert segment["text"] == 'a "b"\n? </script>'
    for response_format in ("text", "srt", "vtt", "diarized_json"):
        assert transcription(scored, asked(response_format)).content


def test_the_deltas_of_a_stream_put_together_are_its_text() -> None:
    *deltas, done = events(with_utterances(said(0, 1, ""), said(1, 2, "a b"), said(2, 3, "c")), asked())

    assert "".join(event["delta"] for event in deltas) == done["text"] == "a b c"
    for event in deltas:
        TranscriptionTextDeltaEvent.model_validate(event, strict=True)
    TranscriptionTextDoneEvent.model_validate(done, strict=True)


def test_a_diarized_stream_has_segments_that_its_deltas_belong_to() -> None:
    found = list(events(SCORED, asked("diarized_json")))

    assert [event["type"].rpartition(".")[2] for event in found] == ["delta", "segment", "delta", "segment", "done"]
    assert [found[0]["segment_id"], found[2]["segment_id"]] == [found[1]["id"], found[3]["id"]]
    assert found[1]["emotion"]["label"] == "happy"
    TranscriptionTextSegmentEvent.model_validate(found[1], strict=True)


def test_a_stream_of_the_newer_generation_ends_with_languages_and_logprobs() -> None:
    *deltas, done = events(SCORED, asked(is_newer=True, logprobs=True))

    assert done["languages"] == [{"code": "en"}]
    assert [one for event in deltas for one in event["logprobs"]] == done["logprobs"]
    assert "".join(one["token"] for one in done["logprobs"]) == done["text"]


def test_silence_is_a_stream_of_its_end_alone() -> None:
    assert list(events(NOBODY, asked())) == [{"type": "transcript.text.done", "text": ""}]


def test_an_event_is_one_line_of_data() -> None:
    sent = frame({"type": "transcript.text.delta", "delta": "a\nb"})

    assert sent == b'event: transcript.text.delta\ndata: {"type": "transcript.text.delta", "delta": "a\\nb"}\n\n'
