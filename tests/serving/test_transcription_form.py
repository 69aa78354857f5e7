"""What is read from a form, and what is refused by name."""

from __future__ import annotations

import base64

import pytest

from mmer_ray.records import Expected
from mmer_ray.serving.api_errors import ApiError
from mmer_ray.serving.interface import KnownSpeaker
from mmer_ray.serving.transcription_form import MODELS, TranscriptionRequest, transcription_request

WAV_URL = f"data:audio/wav;base64,{base64.b64encode(b'RIFF').decode()}"


def read(*fields: tuple[str, str], model: str = "whisper-1") -> TranscriptionRequest:
    return transcription_request([("model", model), *fields])


@pytest.mark.parametrize("model", MODELS)
def test_every_name_of_a_model_is_taken(model: str) -> None:
    request = read(model=model)

    assert request.model == model
    assert request.is_newer == (model == "gpt-transcribe")


def test_the_older_generation_has_a_language_a_prompt_and_the_temperature_zero() -> None:
    request = read(("language", "de"), ("prompt", "Grüße"), ("temperature", "0.0"))

    assert request.expected == Expected(("de",), (), "Grüße")
    assert not request.is_newer


def test_the_newer_generation_has_languages_and_keywords() -> None:
    fields = [("languages[]", "en"), ("languages[]", "de"), ("keywords[]", "Ray Serve"), ("keywords[]", "mmer")]

    assert read(*fields, model="gpt-transcribe").expected == Expected(("en", "de"), ("Ray Serve", "mmer"))


@pytest.mark.parametrize("field", [("keywords[]", "mmer"), ("languages", "en")])
def test_the_newer_generation_is_told_by_its_fields_too(field: tuple[str, str]) -> None:
    assert read(field).is_newer


@pytest.mark.parametrize("name", ["language", "temperature"])
def test_the_newer_generation_refuses_what_the_older_one_had(name: str) -> None:
    value = {"language": "en", "temperature": "0"}[name]
    for fields, model in (
        ([(name, value)], "gpt-transcribe"),
        ([("keywords[]", "mmer"), (name, value)], "whisper-1"),
    ):
        with pytest.raises(ApiError, match=f"{name}: not taken") as refused:
            read(*fields, model=model)
        assert refused.value.param == name


def test_lists_are_read_with_and_without_brackets() -> None:
    fields = [("timestamp_granularities", "word"), ("timestamp_granularities[]", "segment")]

    assert read(("response_format", "verbose_json"), *fields).granularities == ("segment", "word")


def test_words_alone_can_be_asked_for() -> None:
    fields = [("response_format", "verbose_json"), ("timestamp_granularities[]", "word")]

    assert read(*fields).granularities == ("word",)


def test_known_speakers_come_as_names_and_data_urls() -> None:
    for response_format in ("vtt", "diarized_json"):
        fields = [("known_speaker_names[]", "agent"), ("known_speaker_references[]", WAV_URL)]
        request = read(("response_format", response_format), *fields)

        assert request.known_speakers == (KnownSpeaker("agent", b"RIFF"),)


@pytest.mark.parametrize(
    "fields",
    [
        [("chunking_strategy", "auto")],
        [("chunking_strategy[type]", "server_vad")],
        [("chunking_strategy", '{"type": "server_vad"}')],
        [("stream", "true"), ("include[]", "logprobs")],
        [("stream", "false"), ("response_format", "srt")],
        [("language", "")],
        [("audio_url", "https://example.org/a.wav")],
    ],
)
def test_what_is_honoured_is_taken(fields: list[tuple[str, str]]) -> None:
    assert read(*fields).model == "whisper-1"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ([("model", "gpt-5")], "model"),
        ([("temperature", "0.2")], "temperature"),
        ([("temperature", "nan")], "temperature"),
        ([("temperature", "warm")], "temperature"),
        ([("language", "English")], "language"),
        ([("language", "en"), ("language", "de")], "language"),
        ([("languages[]", "en-GB")], "languages[]"),
        ([("keywords[]", " ")], "keywords[]"),
        ([("response_format", "xml")], "response_format"),
        ([("timestamp_granularities[]", "word")], "timestamp_granularities[]"),
        ([("response_format", "verbose_json"), ("timestamp_granularities[]", "letter")], "timestamp_granularities[]"),
        ([("include[]", "tokens")], "include[]"),
        ([("include[]", "logprobs"), ("response_format", "text")], "include[]"),
        ([("stream", "yes")], "stream"),
        ([("stream", "true"), ("response_format", "verbose_json")], "stream"),
        ([("chunking_strategy", "fixed")], "chunking_strategy"),
        ([("chunking_strategy", "[" * 50_000)], "chunking_strategy"),
        ([("chunking_strategy[type]", "none")], "chunking_strategy[type]"),
        ([("chunking_strategy[threshold]", "0.4")], "chunking_strategy[threshold]"),
        ([("chunking_strategy", '{"type": "server_vad", "padding": 2}')], "chunking_strategy[padding]"),
        ([("known_speaker_names[]", "agent")], "known_speaker_references[]"),
        ([("known_speaker_names[]", ""), ("known_speaker_references[]", WAV_URL)], "known_speaker_names[]"),
        ([("known_speaker_names[]", "a"), ("known_speaker_references[]", "string")], "known_speaker_references[]"),
        ([("known_speaker_names[]", "a"), ("known_speaker_references[]", f"{WAV_URL}?")], "known_speaker_references[]"),
        ([("known_speaker_names", "a"), ("known_speaker_references", "data:;base64,")], "known_speaker_references[]"),
        ([("known_speaker_names[]", "a"), ("known_speaker_references[]", WAV_URL)] * 2, "known_speaker_names[]"),
        ([("known_speaker_names[]", str(n)) for n in range(5)], "known_speaker_names[]"),
        ([("known_speaker_names[]", "a"), ("known_speaker_references[]", WAV_URL)], "known_speaker_names[]"),
        ([("diarize", "true")], "diarize"),
        ([("stream[]", "true")], "stream[]"),
    ],
)  # fmt: skip
def test_what_is_not_honoured_is_refused_by_name(fields: list[tuple[str, str]], param: str) -> None:
    if fields[0][0] != "model":
        fields = [("model", "whisper-1"), *fields]

    with pytest.raises(ApiError) as refused:
        transcription_request(fields)

    assert refused.value.status == 400
    assert refused.value.param == param
    assert refused.value.message.startswith(param)
    assert len(refused.value.message) < 300


@pytest.mark.parametrize("fields", [[], [("model", "")]])
def test_the_model_is_needed(fields: list[tuple[str, str]]) -> None:
    with pytest.raises(ApiError, match="model: this field is required"):
        transcription_request(fields)


def test_a_field_without_end_is_not_repeated_in_full() -> None:
    with pytest.raises(ApiError) as refused:
        read(("x" * 10_000, "1"))

    assert len(refused.value.message) < 200
