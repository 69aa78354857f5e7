"""Analyses, jobs and the list of models over HTTP, with models that answer at once."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from mmer_ray.errors import ErrorCode, UsageError
from mmer_ray.records import Expected, ScoredRecording, SpeakerTurn
from mmer_ray.serving.analysis import document
from mmer_ray.serving.analysis_schema import Analysis
from mmer_ray.serving.interface import Asked
from mmer_ray.serving.rows import rows_of
from mmer_ray.serving.transcription_form import MODELS
from tests.serving.cheap_scorers import KEYS, SCORED, SERVED, CheapScorers, failed
from tests.serving.endpoint import Endpoint, endpoint
from tests.serving.sounds import wav

PATH = "/v1/audio/analyses"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Endpoint, CheapScorers]]:
    scorers = CheapScorers()
    with endpoint(scorers, tmp_path_factory.mktemp("state")) as one:
        yield one, scorers


@pytest.fixture
def scorers(running: tuple[Endpoint, CheapScorers]) -> CheapScorers:
    running[1].answer, running[1].is_ready = SCORED, True
    running[1].asked.clear()
    return running[1]


@pytest.fixture
def client(running: tuple[Endpoint, CheapScorers], scorers: CheapScorers) -> Iterator[httpx.Client]:
    with running[0].client() as one:
        yield one


def post(
    client: httpx.Client, path: str = PATH, headers: dict[str, str] | None = None, **fields: Any
) -> httpx.Response:
    return client.post(path, files={"file": ("a.wav", wav())}, data=fields, headers=headers)


def checked(analysis: dict[str, Any]) -> dict[str, Any]:
    """The same, after its schema has found every field and no other."""
    Analysis.model_validate(analysis, strict=True)
    return analysis


def with_named_speaker(scored: ScoredRecording) -> ScoredRecording:
    first, second = scored.utterances
    turns = [replace(turn, speaker_name="Ann" if turn.speaker == "S1" else None) for turn in scored.turns]
    first = replace(first, speaker_name="Ann", role="agent", channel=1, speaker_is_channel=True)
    return replace(scored, utterances=(first, second), turns=tuple(replace(turn, channel=1) for turn in turns))


def test_an_analysis_has_everything_that_its_schema_says() -> None:
    found = checked(document(SCORED, SERVED))

    assert found["schema"] == "mmer.analysis/1"
    assert found["recording"]["duration_s"] == 2.0
    assert [one["text"] for one in found["utterances"]] == ["good morning", "hello"]
    assert found["utterances"][0]["words"][1] == {"word": "morning", "start_s": 0.75, "end_s": 1.25, "p": 0.8}
    assert [one["emotion"]["label"] for one in found["utterances"]] == ["happy", None]
    assert found["models"] == {"transcribe.model": {"name": "cheap", "digest": "0" * 64}}
    assert found["keys"]["scorer"] == KEYS.scorer
    assert found["measures"]["talk_s"] == {"S1": 1.0, "S2": 0.25}


def test_its_tables_are_the_lakes_rows() -> None:
    assert document(SCORED, SERVED)["tables"] == rows_of(SCORED, KEYS)


def test_speakers_have_names_roles_and_channels_where_they_are_known() -> None:
    scored = with_named_speaker(SCORED)
    scored = replace(scored, turns=(*scored.turns, SpeakerTurn(1.8, 1.9, 0, "S3")))

    ann, other, wordless = checked(document(scored, SERVED))["speakers"]

    assert (ann["speaker"], ann["name"], ann["role"], ann["channel"]) == ("S1", "Ann", "agent", 1)
    assert (ann["talk_s"], ann["num_utterances"], ann["words_per_minute"]) == (1.0, 1, 120.0)
    assert (other["name"], other["role"], other["channel"]) == (None, None, None)
    assert (wordless["speaker"], wordless["num_utterances"], wordless["talk_s"]) == ("S3", 0, 0.1)


def test_silence_has_an_analysis_too() -> None:
    empty = replace(SCORED, utterances=(), turns=(), measures=None, num_speakers=0, language=None, language_p=None)

    found = checked(document(empty, SERVED))

    assert (found["text"], found["speakers"], found["measures"]) == ("", [], None)


def test_numbers_that_are_none_are_null() -> None:
    odd = replace(SCORED.utterances[0], text="\udc80", words=(replace(SCORED.utterances[0].words[0], p=math.nan),))

    found = checked(document(replace(SCORED, utterances=(odd,), language_p=math.inf), SERVED))

    assert found["utterances"][0]["words"][0]["p"] is None
    assert found["utterances"][0]["text"] == "?"
    assert found["recording"]["language_p"] is None


def test_an_analysis_is_answered(client: httpx.Client, scorers: CheapScorers) -> None:
    response = post(client, **{"languages[]": ["en"], "keywords[]": ["mmer"], "prompt": "Hello"})

    assert response.json() == document(SCORED, SERVED)
    assert scorers.asked[0].expected == Expected(("en",), ("mmer",), "Hello")


@pytest.mark.parametrize("field", ["model", "language", "response_format", "stream"])
def test_a_field_of_transcriptions_is_none_of_analyses(client: httpx.Client, field: str) -> None:
    response = post(client, **{field: "json"})

    assert response.status_code == 400
    assert response.json()["error"]["param"] == field


def test_what_fails_is_refused_as_with_transcriptions(client: httpx.Client, scorers: CheapScorers) -> None:
    scorers.answer = failed(ErrorCode.NO_SAMPLES)
    bad_audio = post(client)
    scorers.answer = UsageError("keywords: are not heeded")
    unheeded = post(client, **{"keywords[]": "a"})

    assert (bad_audio.status_code, bad_audio.json()["error"]["code"]) == (422, "no_samples")
    assert (unheeded.status_code, unheeded.json()["error"]["param"]) == (400, "keywords[]")


@pytest.mark.parametrize(("path", "prefer"), [(PATH, "respond-async"), ("/v1/jobs", "")])
def test_a_job_ends_with_the_same_analysis(client: httpx.Client, scorers: CheapScorers, path: str, prefer: str) -> None:
    accepted = post(client, path, {"Prefer": prefer}, prompt=path)

    assert accepted.status_code == 202
    deadline = time.monotonic() + 20
    while (job := client.get(accepted.headers["location"]).json())["status"] in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert job["status"] == "succeeded"
    assert job["result"] == document(SCORED, SERVED)
    assert scorers.asked[-1].is_job


def test_a_job_that_was_scored_is_not_scored_again_for_want_of_the_models_names(
    client: httpx.Client, scorers: CheapScorers, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = scorers.score

    async def score_and_say_no_more(asked: Asked) -> ScoredRecording:
        scored = await score(asked)
        scorers.is_ready = False
        return scored

    monkeypatch.setattr(scorers, "score", score_and_say_no_more)
    job = client.get(post(client, "/v1/jobs", prompt="once").headers["location"])
    deadline = time.monotonic() + 10
    while job.json()["status"] != "succeeded":
        assert time.monotonic() < deadline, job.text
        time.sleep(0.05)
        job = client.get(f"/v1/jobs/{job.json()['id']}")
    assert job.json()["attempts"] == 1


def test_a_job_whose_audio_cannot_be_scored_says_why(client: httpx.Client, scorers: CheapScorers) -> None:
    scorers.answer = failed(ErrorCode.DECODE_ERROR)
    accepted = post(client, "/v1/jobs", prompt="a bad one")
    deadline = time.monotonic() + 20
    while (job := client.get(accepted.headers["location"]).json())["status"] in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert (job["status"], job["error"]["code"]) == ("failed", "decode_error")


def test_every_name_of_the_models_is_listed(client: httpx.Client) -> None:
    listed = client.get("/v1/models").json()

    assert [one["id"] for one in listed["data"]] == list(MODELS)
    assert client.get("/v1/models/whisper-1").json() in listed["data"]
    unknown = client.get("/v1/models/gpt-5")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")


def test_readiness_and_figures_are_there(client: httpx.Client, scorers: CheapScorers) -> None:
    post(client)

    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    assert 'mmer_requests_total{method="POST",route="/v1/audio/analyses",status="200"}' in client.get("/metrics").text
    scorers.is_ready = False
    assert client.get("/readyz").status_code == 503
