"""Transcriptions over HTTP, with models that answer at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from mmer_ray.errors import ErrorCode, UsageError
from mmer_ray.records import Expected
from mmer_ray.serving.interface import KnownSpeaker, ScorersUnavailableError
from tests.serving.cheap_scorers import SCORED, CheapScorers, failed
from tests.serving.endpoint import Endpoint, endpoint
from tests.serving.sounds import wav

PATH = "/v1/audio/transcriptions"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Endpoint, CheapScorers]]:
    scorers = CheapScorers()
    with endpoint(scorers, tmp_path_factory.mktemp("state")) as one:
        yield one, scorers


@pytest.fixture
def scorers(running: tuple[Endpoint, CheapScorers]) -> CheapScorers:
    running[1].answer = SCORED
    running[1].asked.clear()
    return running[1]


@pytest.fixture
def client(running: tuple[Endpoint, CheapScorers], scorers: CheapScorers) -> Iterator[httpx.Client]:
    with running[0].client() as one:
        yield one


def post(client: httpx.Client, sound: bytes | None = None, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    return client.post(
        PATH,
        files={"file": ("a.wav", wav() if sound is None else sound)},
        data={"model": "whisper-1", **fields},
        headers=headers,
    )


def error_of(response: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = response.json()["error"]
    assert error["request_id"] == response.headers["x-request-id"]
    return error


def test_a_clip_is_answered_with_its_text(client: httpx.Client, scorers: CheapScorers) -> None:
    response = post(client)

    assert response.status_code == 200
    assert response.json() == {"text": "good morning hello", "usage": {"type": "duration", "seconds": 2.0}}
    assert scorers.asked[0].sound == wav()


def test_what_the_form_says_reaches_the_models(client: httpx.Client, scorers: CheapScorers) -> None:
    fields = {
        "model": "gpt-transcribe",
        "languages[]": ["en", "de"],
        "keywords[]": ["mmer"],
        "prompt": "Hello",
        "response_format": "diarized_json",
        "known_speaker_names[]": ["agent"],
        "known_speaker_references[]": ["data:audio/wav;base64,UklGRg=="],
    }

    assert post(client, **fields).json()["languages"] == [{"code": "en"}]
    (asked,) = scorers.asked
    assert asked.expected == Expected(("en", "de"), ("mmer",), "Hello")
    assert asked.known_speakers == (KnownSpeaker("agent", b"RIFF"),)
    assert not asked.is_job


def test_a_sound_sent_as_a_file_and_as_text_is_refused(client: httpx.Client, scorers: CheapScorers) -> None:
    response = post(client, file="call.wav")

    assert (response.status_code, error_of(response)["param"]) == (400, "file")
    assert not scorers.asked


@pytest.mark.parametrize(
    ("response_format", "media_type"),
    [
        ("json", "application/json"),
        ("text", "text/plain; charset=utf-8"),
        ("srt", "application/x-subrip; charset=utf-8"),
        ("vtt", "text/vtt; charset=utf-8"),
        ("verbose_json", "application/json"),
        ("diarized_json", "application/json"),
    ],
)
def test_every_format_has_its_media_type(client: httpx.Client, response_format: str, media_type: str) -> None:
    response = post(client, response_format=response_format)

    assert response.headers["content-type"] == media_type
    assert "good morning" in response.text


def test_a_stream_is_events(client: httpx.Client) -> None:
    response = post(client, stream="true")

    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    blocks = [block.splitlines() for block in response.text.split("\n\n") if block]
    found = [json.loads(lines[1].removeprefix("data: ")) for lines in blocks]
    assert [lines[0] for lines in blocks] == [f"event: {event['type']}" for event in found]
    assert found[-1] == {"type": "transcript.text.done", "text": "good morning hello"}


def test_a_field_that_cannot_be_honoured_is_named_and_nothing_is_scored(
    client: httpx.Client, scorers: CheapScorers
) -> None:
    response = post(client, temperature="0.4")

    assert response.status_code == 400
    assert error_of(response)["param"] == "temperature"
    assert not scorers.asked


@pytest.mark.parametrize(
    ("files", "param"),
    [
        ([("sound", ("a.wav", wav()))], "sound"),
        ([("file", ("a.wav", wav())), ("file", ("b.wav", wav()))], "file"),
        ([("prompt", ("p.txt", b"Hello")), ("file", ("b.wav", wav()))], "prompt"),
        ([("temperature", (None, b"0"))], "file"),
        ([("file", (None, b"x"))], "file"),
    ],
)
def test_one_file_is_needed_and_no_other_is_taken(client: httpx.Client, files: Any, param: str) -> None:
    response = client.post(PATH, files=files, data={"model": "whisper-1"})

    assert response.status_code == 400
    assert error_of(response)["param"] == param
    assert "not known" not in error_of(response)["message"]


def test_what_is_no_audio_is_refused_as_such(client: httpx.Client, scorers: CheapScorers) -> None:
    response = post(client, b"PK\x03\x04" + bytes(100))

    assert response.status_code == 415
    assert not scorers.asked


@pytest.mark.parametrize(
    ("code", "status"),
    [(ErrorCode.DECODE_ERROR, 422), (ErrorCode.NO_SAMPLES, 422), (ErrorCode.TOO_LONG, 413), (ErrorCode.IO_ERROR, 503)],
)
def test_audio_that_cannot_be_scored_says_why(
    client: httpx.Client, scorers: CheapScorers, code: ErrorCode, status: int
) -> None:
    scorers.answer = failed(code)

    response = post(client)

    assert response.status_code == status
    assert error_of(response)["code"] == code
    assert ("retry-after" in response.headers) == (status == 503)


@pytest.mark.parametrize(
    ("said", "fields", "param"),
    [
        ("languages: cannot be told", {"language": "de"}, "language"),
        ("languages: cannot be told", {"languages[]": "de"}, "languages[]"),
        ("keywords: are not heeded", {"keywords[]": "a"}, "keywords[]"),
        ("prompt: is not heeded", {"prompt": "a"}, "prompt"),
        ("known_speaker_references: nobody speaks", {}, "known_speaker_references[]"),
    ],
)
def test_what_the_models_do_not_heed_is_called_as_the_client_called_it(
    client: httpx.Client, scorers: CheapScorers, said: str, fields: dict[str, str], param: str
) -> None:
    scorers.answer = UsageError(said)

    response = post(client, **fields)

    assert response.status_code == 400
    assert error_of(response)["param"] == param
    assert error_of(response)["message"] == f"{param}: {said.partition(': ')[2]}"


def test_without_a_replica_the_client_is_asked_to_come_back(client: httpx.Client, scorers: CheapScorers) -> None:
    scorers.answer = ScorersUnavailableError("none")

    response = post(client)

    assert response.status_code == 503
    assert response.headers["retry-after"] == "2"


def test_a_key_is_needed(running: tuple[Endpoint, CheapScorers], scorers: CheapScorers) -> None:
    with running[0].client(Authorization="Bearer wrong") as client:
        response = post(client)

    assert response.status_code == 401
    assert error_of(response)["type"] == "authentication_error"
    assert not scorers.asked


def test_a_request_that_is_sent_again_is_worked_on_once(client: httpx.Client, scorers: CheapScorers) -> None:
    first, again = (post(client, headers={"Idempotency-Key": "one"}) for _ in range(2))

    assert first.content == again.content
    assert again.headers["idempotent-replayed"] == "true"
    assert len(scorers.asked) == 1
    other = post(client, wav(0.5), headers={"Idempotency-Key": "one"})
    assert (other.status_code, error_of(other)["code"]) == (409, "idempotency_key_reused")


def test_text_that_is_no_text_is_answered_all_the_same(client: httpx.Client, scorers: CheapScorers) -> None:
    odd = replace(SCORED.utterances[0], text="a \udc80 b")
    scorers.answer = replace(SCORED, utterances=(odd,))

    assert post(client).json()["text"] == "a ? b"


def test_translations_are_not_there(client: httpx.Client) -> None:
    response = client.post("/v1/audio/translations", files={"file": wav()}, data={"model": "whisper-1"})

    assert response.status_code == 404
    assert error_of(response)["type"] == "invalid_request_error"


def test_a_request_leaves_an_audit_line_without_text(tmp_path: Path) -> None:
    with endpoint(CheapScorers(), tmp_path) as one, one.client() as client:
        request_id = post(client, prompt="secret").headers["x-request-id"]

    (line,) = (tmp_path / "audit").glob("*.jsonl")
    row = json.loads(line.read_text().splitlines()[0])
    assert (row["request_id"], row["key"], row["route"], row["status"]) == (request_id, "tests", PATH, 200)
    assert row["audio_s"] == 2.0
    assert "secret" not in line.read_text()
