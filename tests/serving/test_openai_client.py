"""OpenAI's own client against the endpoint with the real engine: it checks every answer against its types."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator

import openai
import pytest
from openai import OpenAI
from openai.types.audio import (
    TranscriptionTextDeltaEvent,
    TranscriptionTextDoneEvent,
    TranscriptionTextSegmentEvent,
)

from mmer_ray.demo.truth import CALLS, read_truth
from mmer_ray.profiles import load_profile
from mmer_ray.records import ScoredRecording
from mmer_ray.serving.analysis_schema import Analysis
from mmer_ray.serving.interface import Asked
from mmer_ray.serving.local_scorers import LocalScorers
from mmer_ray.serving.rows import rows_of
from mmer_ray.serving.scorer import OnlineScorer
from tests.export.test_subtitles import parsed
from tests.serving.endpoint import Endpoint, endpoint
from tests.serving.sounds import wav
from tests.serving.test_known_speakers import known

CALL = CALLS / "call_18_mono.opus"
MODEL = "gpt-4o-transcribe"


@pytest.fixture(scope="module")
def scorer() -> Iterator[OnlineScorer]:
    with OnlineScorer(load_profile("synthetic")) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def running(scorer: OnlineScorer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with LocalScorers(scorer, 4) as scorers, endpoint(scorers, tmp_path_factory.mktemp("state")) as one:
        yield one


@pytest.fixture(scope="module")
def client(running: Endpoint) -> Iterator[OpenAI]:
    with running.openai() as one:
        yield one


@pytest.fixture(scope="module")
def scored(scorer: OnlineScorer) -> ScoredRecording:
    """The call, scored without HTTP."""
    return scorer.score(Asked(CALL.read_bytes()))


@pytest.fixture(scope="module")
def text(scored: ScoredRecording) -> str:
    joined = " ".join(one.text for one in scored.utterances)
    assert len(joined) > 100
    return joined


def test_a_file_is_transcribed(client: OpenAI, scored: ScoredRecording, text: str) -> None:
    answer = client.audio.transcriptions.create(file=CALL, model=MODEL)

    assert answer.text == text
    assert answer.usage is not None
    assert answer.usage.type == "duration"
    assert scored.audio is not None
    assert answer.usage.seconds == scored.audio.duration_s


def test_bytes_and_open_files_do_too(client: OpenAI, text: str) -> None:
    with CALL.open("rb") as file:
        answers = [
            client.audio.transcriptions.create(file=file, model=MODEL),
            client.audio.transcriptions.create(file=("no ending", CALL.read_bytes()), model=MODEL),
        ]

    assert [answer.text for answer in answers] == [text, text]


def test_plain_text_is_text(client: OpenAI, text: str) -> None:
    assert client.audio.transcriptions.create(file=CALL, model="whisper-1", response_format="text") == f"{text}\n"


@pytest.mark.parametrize("fmt", ["srt", "vtt"])
def test_subtitles_are_read_by_players(client: OpenAI, fmt: str, text: str) -> None:
    answer = client.audio.transcriptions.create(file=CALL, model="whisper-1", response_format=fmt)  # type: ignore[call-overload]

    shown = parsed(answer, fmt)
    if fmt == "srt":
        assert " ".join(words for _, _, words in shown).split() == text.split()
    assert all(start_s < end_s for start_s, end_s, _ in shown)


def test_verbose_json_has_segments_with_emotion_and_words(client: OpenAI, scored: ScoredRecording, text: str) -> None:
    answer = client.audio.transcriptions.create(
        file=CALL,
        model="whisper-1",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
        temperature=0,
    )

    assert answer.text == text
    assert answer.words is not None
    assert " ".join(word.word for word in answer.words) == text
    assert answer.segments is not None
    assert [(one.start, one.end) for one in answer.segments] == [(one.start_s, one.end_s) for one in scored.utterances]
    emotions = [one.to_dict()["emotion"] for one in answer.segments]
    labels = [one["label"] for one in emotions]  # type: ignore[index, call-overload]
    assert labels == [one.emotions[0].label for one in scored.utterances]
    assert any(labels)


def test_diarized_json_has_speakers(client: OpenAI, scored: ScoredRecording) -> None:
    answer = client.audio.transcriptions.create(
        file=CALL, model="gpt-4o-transcribe-diarize", response_format="diarized_json", chunking_strategy="auto"
    )

    letters = {"S1": "A", "S2": "B"}
    assert [one.speaker for one in answer.segments] == [letters[one.speaker] for one in scored.utterances]
    assert {one.speaker for one in answer.segments} == {"A", "B"}


def test_known_speakers_have_their_names(client: OpenAI) -> None:
    call = next(call for call in read_truth() if call.file == "call_01_stereo.opus")
    agent = known(call, "agent")
    url = f"data:audio/wav;base64,{base64.b64encode(agent.sound).decode()}"

    answer = client.audio.transcriptions.create(
        file=CALLS / call.file,
        model="gpt-4o-transcribe-diarize",
        response_format="diarized_json",
        known_speaker_names=["the agent"],
        known_speaker_references=[url],
    )

    assert {one.speaker for one in answer.segments} == {"the agent", "A"}


def test_a_known_speaker_without_a_voice_is_refused_by_name(client: OpenAI) -> None:
    url = f"data:audio/wav;base64,{base64.b64encode(wav(4.0)).decode()}"

    with pytest.raises(openai.BadRequestError, match="nobody speaks") as refused:
        client.audio.transcriptions.create(
            file=CALL,
            model=MODEL,
            response_format="diarized_json",
            known_speaker_names=["Ann"],
            known_speaker_references=[url],
        )

    assert refused.value.param == "known_speaker_references[]"


def test_the_newer_generation_names_languages(client: OpenAI, scored: ScoredRecording) -> None:
    answer = client.audio.transcriptions.create(file=CALL, model="gpt-transcribe")

    assert answer.languages is not None
    assert {one.code for one in answer.languages} == {one.language for one in scored.utterances if one.language}


def test_logprobs_are_those_of_the_words(client: OpenAI, text: str) -> None:
    answer = client.audio.transcriptions.create(file=CALL, model=MODEL, include=["logprobs"])

    assert answer.logprobs is not None
    assert "".join(one.token or "" for one in answer.logprobs) == text
    assert all(one.logprob is not None and one.logprob <= 0 for one in answer.logprobs)


def test_a_stream_is_deltas_and_the_whole_text(client: OpenAI, text: str) -> None:
    *deltas, done = client.audio.transcriptions.create(file=CALL, model=MODEL, stream=True)

    assert len(deltas) > 1
    assert all(isinstance(event, TranscriptionTextDeltaEvent) for event in deltas)
    assert "".join(event.delta for event in deltas if event.type == "transcript.text.delta") == text
    assert isinstance(done, TranscriptionTextDoneEvent)
    assert done.text == text


def test_a_diarized_stream_has_segments(client: OpenAI, scored: ScoredRecording) -> None:
    events = list(
        client.audio.transcriptions.create(
            file=CALL, model="gpt-4o-transcribe-diarize", response_format="diarized_json", stream=True
        )
    )

    segments = [event for event in events if isinstance(event, TranscriptionTextSegmentEvent)]
    assert [one.text for one in segments] == [one.text for one in scored.utterances]


def test_a_raw_answer_names_its_request(client: OpenAI, text: str) -> None:
    raw = client.audio.transcriptions.with_raw_response.create(file=CALL, model=MODEL)

    assert raw.headers["x-request-id"]
    assert raw.parse().text == text


async def _asynchronously(running: Endpoint) -> str:
    async with openai.AsyncOpenAI(
        api_key=running.key,
        base_url=f"{running.address}/v1",
        http_client=openai.DefaultAsyncHttpxClient(trust_env=False),
        _strict_response_validation=True,
    ) as client:
        return (await client.audio.transcriptions.create(file=CALL, model=MODEL)).text


def test_the_asynchronous_client_does_too(running: Endpoint, text: str) -> None:
    assert asyncio.run(_asynchronously(running)) == text


def test_models_are_listed(client: OpenAI) -> None:
    assert MODEL in [one.id for one in client.models.list()]
    assert client.models.retrieve("whisper-1").object == "model"
    with pytest.raises(openai.NotFoundError, match="gpt-5"):
        client.models.retrieve("gpt-5")


def test_a_field_that_is_not_honoured_is_told_by_name(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="temperature") as refused:
        client.audio.transcriptions.create(file=CALL, model=MODEL, temperature=0.7)

    assert (refused.value.param, refused.value.code) == ("temperature", "invalid_value")
    assert refused.value.request_id == refused.value.body["request_id"]  # type: ignore[index]


@pytest.mark.parametrize("name", ["keywords", "prompt"])
def test_what_the_profiles_recognizer_cannot_heed_is_told_by_name(client: OpenAI, name: str) -> None:
    values = {"keywords": ["mmer"], "prompt": "Hello"}

    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.transcriptions.create(file=CALL, model=MODEL, **{name: values[name]})  # type: ignore[call-overload]

    assert (refused.value.param or "").removesuffix("[]") == name


def test_errors_are_those_of_the_client(running: Endpoint, client: OpenAI) -> None:
    with running.openai("mmer_wrong") as stranger, pytest.raises(openai.AuthenticationError):
        stranger.audio.transcriptions.create(file=CALL, model=MODEL)
    for sound, status in ((b"no audio", 415), (wav()[:44], 422), (b"", 422)):
        with pytest.raises(openai.APIStatusError) as refused:
            client.audio.transcriptions.create(file=("a.wav", sound), model=MODEL)
        assert refused.value.status_code == status, refused.value
    with pytest.deprecated_call(), pytest.raises(openai.NotFoundError):
        client.audio.translations.create(file=CALL, model="whisper-1")


def test_an_analysis_has_what_its_schema_says_and_the_lakes_rows(
    running: Endpoint, scorer: OnlineScorer, scored: ScoredRecording
) -> None:
    with running.client() as plain:
        analysis = plain.post("/v1/audio/analyses", files={"file": CALL.read_bytes()}).json()

    Analysis.model_validate(analysis, strict=True)
    assert analysis["tables"] == rows_of(scored, scorer.served().keys)
    assert analysis["models"].keys() > {"diarize.model", "transcribe.model", "emotion.model"}
    assert analysis["recording"]["num_speakers"] == 2


def test_silence_has_no_text(client: OpenAI) -> None:
    answer = client.audio.transcriptions.create(
        file=("a.wav", wav(2.0)), model="whisper-1", response_format="verbose_json"
    )

    assert (answer.text, answer.segments, answer.duration) == ("", [], 2.0)
