"""What callers are told where something is wrong, and what logs, health and figures say of it."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from pathlib import Path

import httpx
import pytest

from mmer_ray.errors import ErrorCode, UsageError
from mmer_ray.serving.health import Disk
from mmer_ray.serving.interface import ScorersUnavailableError
from tests.serving.cheap_scorers import failed
from tests.serving.guarded_app import PATH, OpenGuarded, opened, post, refusal, until

__all__ = ["opened"]


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (failed(ErrorCode.CORRUPT_HEADER), (422, "corrupt_header")),
        (failed(ErrorCode.NO_AUDIO_STREAM), (415, "no_audio_stream")),
        (failed(ErrorCode.TOO_LONG), (413, "too_long")),
        (failed(ErrorCode.FILE_TOO_BIG), (413, "file_too_big")),
        (failed(ErrorCode.WORKER_CRASH), (503, "worker_crash")),
        (ScorersUnavailableError("none"), (503, "models_unavailable")),
        (UsageError("prompt: not heeded by these models"), (400, "invalid_value")),
        (RuntimeError("the words of a caller"), (500, "internal")),
    ],
)
def test_what_the_models_cannot_do_is_told(opened: OpenGuarded, answer: object, wanted: tuple[int, str]) -> None:
    guarded, client = opened()
    guarded.scorers.answer = answer  # type: ignore[assignment]
    told = post(client)
    assert refusal(told) == wanted
    assert "caller" not in told.text
    assert guarded.admission.in_flight == 0
    assert (told.status_code == 503) == ("retry-after" in told.headers)


def test_a_wish_that_is_not_heeded_names_its_field(opened: OpenGuarded) -> None:
    guarded, client = opened()
    guarded.scorers.answer = UsageError("languages: these models know one")
    assert post(client).json()["error"]["param"] == "languages"


def test_a_bug_is_logged_with_its_place_and_without_words(
    opened: OpenGuarded, caplog: pytest.LogCaptureFixture
) -> None:
    _, client = opened()
    with caplog.at_level(logging.ERROR, logger="mmer_ray"):
        answer = client.post("/v1/bug", headers={"x-request-id": "bug-1"})
        # The log is written once the answer is out.
        until(lambda: any(record.name.startswith("mmer_ray") for record in caplog.records))
    assert refusal(answer) == (500, "internal")
    told = [record.getMessage() for record in caplog.records if record.name.startswith("mmer_ray")]
    assert len(told) == 1
    assert "bug-1" in told[0]
    assert "guarded_app.py" in told[0]
    assert "caller" not in caplog.text
    assert "Traceback" not in answer.text


def test_a_bug_in_the_midst_of_an_answer_breaks_it_off(opened: OpenGuarded) -> None:
    _, client = opened()
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/v1/bug_later")
    assert post(client).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("GET", "/nowhere", (404, "not_found")),
        ("GET", "/v1/audio/transcriptions/", (404, "not_found")),
        ("GET", PATH, (405, "method_not_allowed")),
        ("GET", "/v1/number/seven", (400, "invalid_value")),
        ("GET", "/" + "a" * 9_000, (414, "uri_too_long")),
        ("GET", "/?" + "a" * 9_000, (414, "uri_too_long")),
    ],
)
def test_addresses_that_are_none_of_ours_have_the_one_shape(
    opened: OpenGuarded, method: str, path: str, wanted: tuple[int, str]
) -> None:
    _, client = opened()
    assert refusal(client.request(method, path)) == wanted


def test_headers_beyond_the_limit_are_refused(opened: OpenGuarded) -> None:
    _, client = opened()
    headers = {f"x-{number}": "a" * 8_000 for number in range(5)}
    assert refusal(client.get("/healthz", headers=headers)) == (431, "headers_too_large")


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [
        (["abc-1_Z"], True),
        (["Root=1-67891233-abcdef012345678912345678"], True),
        (["x" * 128], True),
        (["x" * 129], False),
        (["a b"], False),
        (["a\tb"], False),
        (["\xff"], False),
        ([""], False),
        (["one", "two"], False),
    ],
)
def test_a_request_id_of_the_client_is_kept_where_it_can_be_written_to_a_log(
    opened: OpenGuarded, given: list[str], is_kept: bool
) -> None:
    _, client = opened()
    answer = client.get("/nowhere", headers=[("x-request-id", one.encode("latin-1")) for one in given])
    assert refusal(answer) == (404, "not_found")
    told = answer.headers.get_list("x-request-id")
    assert len(told) == 1
    assert (told[0] in given) is is_kept


def test_readiness_follows_the_models_and_the_disk(opened: OpenGuarded, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded, client = opened()
    assert client.get("/readyz").json() == {"status": "ready"}
    guarded.scorers.is_ready = False
    answer = client.get("/readyz")
    assert refusal(answer) == (503, "not_ready")
    assert "model" in answer.json()["error"]["message"]
    guarded.scorers.is_ready = True
    monkeypatch.setattr("mmer_ray.serving.health.disk_used", lambda folder: 0.93)
    assert "93%" in client.get("/readyz").json()["error"]["message"]


def test_a_disk_that_hangs_is_told_and_holds_up_nothing(opened: OpenGuarded, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded, client = opened()
    monkeypatch.setattr("mmer_ray.serving.health.ASKING_S", 0.1)
    monkeypatch.setattr("mmer_ray.serving.health.disk_used", lambda folder: time.sleep(2) or 0.0)
    for _ in range(10):
        assert "does not answer" in client.get("/readyz").json()["error"]["message"]
    assert client.get("/healthz").status_code == 200
    assert post(client).status_code == 200
    assert guarded.scorers.num_answered == 1


def test_a_disk_that_answers_is_never_told_not_to(tmp_path: Path) -> None:
    async def ask_again_and_again(disk: Disk) -> list[str | None]:
        return [await disk.full() for _ in range(20)]

    async def ask_side_by_side() -> list[list[str | None]]:
        disk = Disk(tmp_path)
        return await asyncio.gather(*(ask_again_and_again(disk) for _ in range(3)))

    for told in asyncio.run(ask_side_by_side()):
        assert "the disk of `serve.state` does not answer" not in told


def test_figures_tell_what_was_served_and_refused(opened: OpenGuarded) -> None:
    _, client = opened()
    post(client)
    post(client)
    post(client, b"no sound")
    client.get("/made-up/1")
    client.request("BREW", "/made-up/2")
    assert client.get("/metrics", headers={"Authorization": "none"}).status_code == 401
    lines = client.get("/metrics").text.splitlines()
    assert f'mmer_requests_total{{method="POST",route="{PATH}",status="200"}} 2.0' in lines
    assert 'mmer_refusals_total{code="unrecognised"} 1.0' in lines
    assert "mmer_audio_seconds_total 4.0" in lines
    assert "mmer_in_flight 0.0" in lines
    assert not any("made-up" in line for line in lines)


def test_refusals_are_ascii_whatever_they_quote(opened: OpenGuarded) -> None:
    _, client = opened()
    answer = client.get("/v1/number/%ED%A0%80")
    assert refusal(answer) == (400, "invalid_value")
    json.loads(answer.content.decode("ascii"))
