"""A request that is sent again with the same `Idempotency-Key` is worked on once."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from openai import ConflictError, DefaultHttpxClient, OpenAI
from starlette.responses import JSONResponse, Response

from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving import idempotency
from mmer_ray.serving.api_errors import ApiError
from mmer_ray.serving.idempotency import Idempotency
from mmer_ray.serving.key_file import KeyFile
from mmer_ray.serving.state_database import StateDatabase
from mmer_ray.serving.upload import Form, received_form
from tests.serving.http_server import serving
from tests.serving.keyed_app import bearer, keyed

VALUE = "3f6c2a2e-3b0f-4b9a-8d5f-0f8f6c1f2b11"


@dataclass
class Endpoint:
    """A route that counts how often it works."""

    state: Path
    options: ServeOptions = field(default_factory=ServeOptions)
    delay_s: float = 0.0
    is_held: bool = False
    """Whether answers wait until it is False."""
    statuses: list[int] = field(default_factory=list)
    """What the next answers are; 200 once it is empty."""
    num_worked: int = 0
    address: str = ""
    seen: list[httpx.Response] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.keys = KeyFile(self.state / "keys.json")
        self.key = self.keys.add("dialler")
        self.database = StateDatabase(self.state)
        self.kept = Idempotency(self.database, self.options)

    def app(self) -> Any:
        app = FastAPI()

        @app.post("/v1/audio/transcriptions")
        @app.post("/v1/audio/analyses")
        async def transcribe(request: Request) -> Response:
            form = await received_form(request, self.options)
            self.forms.append(form)
            is_stream = ("stream", "true") in form.fields
            return await self.kept.once(request, form, self._answer, is_stream=is_stream)

        return keyed(app, self.keys, self.options)

    async def _answer(self) -> Response:
        self.num_worked += 1
        number, status = self.num_worked, self.statuses.pop(0) if self.statuses else 200
        await asyncio.sleep(self.delay_s)
        while self.is_held:
            await asyncio.sleep(0.01)
        if status == 422:
            raise ApiError(422, "decode_error", "broken")
        return JSONResponse({"number": number}, status, {"x-note": "kept"})

    def post(self, value: str | None = VALUE, **changes: Any) -> httpx.Response:
        """Ask with a file, as a client does: with a new boundary each time."""
        headers = bearer(changes.pop("key", self.key)) | ({} if value is None else {"Idempotency-Key": value})
        path, sound = changes.pop("path", "/v1/audio/transcriptions"), changes.pop("sound", b"RIFF")
        name = changes.pop("name", "a.wav")
        return httpx.post(self.address + path, headers=headers, data=changes, files={"file": (name, sound)}, timeout=30)

    def begun(self) -> http.client.HTTPConnection:
        """As `post`, for a client that may hang up before it is answered."""
        url = httpx.URL(self.address + "/v1/audio/transcriptions")
        headers = bearer(self.key) | {"Idempotency-Key": VALUE}
        request = httpx.Request("POST", url, headers=headers, files={"file": ("a.wav", b"RIFF")})
        connection = http.client.HTTPConnection(url.host, url.port)
        connection.request("POST", url.path, request.read(), dict(request.headers))
        return connection

    def once_waiting(self, num: int) -> None:
        """Return once so many requests wait for another one's answer."""
        deadline = time.monotonic() + 10
        while self.kept.num_waiting != num:
            assert time.monotonic() < deadline, f"{self.kept.num_waiting} wait"
            time.sleep(0.01)


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    endpoint = Endpoint(tmp_path)
    with serving(endpoint.app()) as endpoint.address:
        yield endpoint
    endpoint.database.close()


def _number(answer: httpx.Response) -> int:
    assert answer.status_code == 200, answer.text
    return int(answer.json()["number"])


def test_the_second_gets_the_answer_of_the_first(endpoint: Endpoint) -> None:
    first, second = endpoint.post(language="en"), endpoint.post(language="en", name="b.wav")
    assert first.json() == second.json()
    assert endpoint.num_worked == 1
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert second.headers["x-note"] == "kept"
    assert second.headers["content-type"] == "application/json"
    assert second.headers["x-request-id"] != first.headers["x-request-id"]


def test_without_the_header_each_request_is_worked_on(endpoint: Endpoint) -> None:
    assert [_number(endpoint.post(None)), _number(endpoint.post(None))] == [1, 2]


@pytest.mark.parametrize("change", [{"language": "de"}, {"sound": b"RIFX"}, {"path": "/v1/audio/analyses"}])
def test_the_same_value_with_something_else_is_409_and_not_to_be_tried_again(
    endpoint: Endpoint, change: dict[str, Any]
) -> None:
    endpoint.post(language="en")
    answer = endpoint.post(**{"language": "en", **change})
    assert answer.status_code == 409
    assert answer.headers["x-should-retry"] == "false"
    assert answer.json()["error"]["code"] == "idempotency_key_reused"
    assert endpoint.num_worked == 1


def test_openais_client_does_not_try_a_409_again(endpoint: Endpoint) -> None:
    endpoint.post()
    with DefaultHttpxClient(trust_env=False, event_hooks={"response": [endpoint.seen.append]}) as http_client:
        client = OpenAI(api_key=endpoint.key, base_url=f"{endpoint.address}/v1", http_client=http_client, max_retries=2)
        with pytest.raises(ConflictError) as refused:
            client.audio.transcriptions.create(
                model="whisper-1", file=("a.wav", b"other"), extra_headers={"Idempotency-Key": VALUE}
            )
    assert refused.value.code == "idempotency_key_reused"
    assert [answer.status_code for answer in endpoint.seen] == [409]


def test_of_two_at_once_the_second_waits_for_the_first(endpoint: Endpoint) -> None:
    endpoint.delay_s = 0.5
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda _: _number(endpoint.post()), range(4)))
    assert answers == [1, 1, 1, 1]


def test_those_that_wait_are_woken_by_the_answer_and_hold_one_copy_of_the_sound(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "POLL_S", 60.0)
    endpoint.is_held = True
    with ThreadPoolExecutor(3) as clients:
        answers = [clients.submit(endpoint.post, language="en") for _ in range(3)]
        endpoint.once_waiting(2)
        # Those that wait have looked for the last time before the poll.
        time.sleep(0.2)
        assert len({id(form.files[0].sound) for form in endpoint.forms}) == 1
        assert len({id(form.fields[0]) for form in endpoint.forms}) == 1
        endpoint.is_held = False
        assert [_number(answer.result()) for answer in answers] == [1, 1, 1]
    assert endpoint.kept.num_waiting == 0


def test_as_many_of_a_key_wait_as_it_may_have_under_way_and_those_that_hang_up_make_room(tmp_path: Path) -> None:
    endpoint = Endpoint(tmp_path, ServeOptions(max_in_flight_per_key=1, max_in_flight=2), is_held=True)
    others = [endpoint.keys.add("second"), endpoint.keys.add("third")]
    with serving(endpoint.app()) as endpoint.address, ThreadPoolExecutor(8) as clients:
        first = [clients.submit(endpoint.post, key=key) for key in (endpoint.key, *others)]
        while endpoint.num_worked < 3:
            time.sleep(0.01)
        waiting = endpoint.begun()
        endpoint.once_waiting(1)
        refused = endpoint.post()
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert refused.headers["retry-after"]
        waiting_too = clients.submit(endpoint.post, key=others[0])
        endpoint.once_waiting(2)
        refused = endpoint.post(key=others[1])
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        waiting.close()
        endpoint.once_waiting(1)
        again = clients.submit(endpoint.post)
        endpoint.once_waiting(2)
        endpoint.is_held = False
        assert _number(again.result()) == _number(first[0].result())
        assert _number(waiting_too.result()) == _number(first[1].result())
    assert endpoint.num_worked == 3
    endpoint.database.close()


def test_something_else_is_refused_while_the_first_is_being_worked_on(endpoint: Endpoint) -> None:
    endpoint.delay_s = 1.0
    with ThreadPoolExecutor(1) as clients:
        first = clients.submit(endpoint.post, language="en")
        while not endpoint.num_worked:
            time.sleep(0.01)
        assert endpoint.post(language="de").status_code == 409
        assert _number(first.result()) == 1


@pytest.mark.parametrize("status", [500, 503, 429, 422])
def test_what_failed_is_worked_on_again(endpoint: Endpoint, status: int) -> None:
    endpoint.statuses = [status]
    assert endpoint.post().status_code == status
    assert _number(endpoint.post()) == 2
    assert _number(endpoint.post()) == 2


def test_those_that_wait_go_on_when_the_first_fails(endpoint: Endpoint) -> None:
    endpoint.delay_s, endpoint.statuses = 0.4, [503]
    with ThreadPoolExecutor(3) as clients:
        statuses = list(clients.map(lambda _: endpoint.post().status_code, range(3)))
    assert sorted(statuses) == [200, 200, 503]
    assert endpoint.num_worked == 2


def test_the_values_of_two_keys_do_not_meet_and_a_key_of_the_same_name_is_another(endpoint: Endpoint) -> None:
    assert _number(endpoint.post()) == 1
    assert _number(endpoint.post(key=endpoint.keys.add("other"))) == 2
    endpoint.keys.revoke("dialler")
    assert _number(endpoint.post(key=endpoint.keys.add("dialler"))) == 3


def test_an_answer_is_forgotten_after_its_time(tmp_path: Path) -> None:
    endpoint = Endpoint(tmp_path, ServeOptions(keep_jobs_s=0.3))
    with serving(endpoint.app()) as endpoint.address:
        assert _number(endpoint.post()) == 1
        time.sleep(0.4)
        assert _number(endpoint.post()) == 2
    assert endpoint.database.do(lambda c: c.execute("SELECT count(*) FROM answers").fetchone()[0]) == 1
    endpoint.database.close()


def test_an_answer_outlives_the_gateway(endpoint: Endpoint) -> None:
    assert _number(endpoint.post()) == 1
    other = Endpoint.__new__(Endpoint)
    other.__dict__.update(endpoint.__dict__)
    other.database = StateDatabase(endpoint.state)
    other.kept = Idempotency(other.database, other.options)
    with serving(other.app()) as other.address:
        assert _number(other.post()) == 1
    other.database.close()


def test_what_a_dead_gateway_was_working_on_is_taken_over(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "CLAIM_S", 0.5)
    assert _number(endpoint.post()) == 1
    # As a gateway leaves it that is killed in the middle.
    endpoint.database.do(
        lambda c: c.execute(
            "UPDATE answers SET status = NULL, claim = 'of the dead', claimed_until = ?", (time.time() + 0.5,)
        )
    )
    began = time.monotonic()
    assert _number(endpoint.post()) == 2
    assert time.monotonic() - began > 0.3


@pytest.mark.parametrize("value", ["", "x" * 256, "a\tb", "schlüssel"])
def test_a_value_that_is_none_is_refused_by_name(endpoint: Endpoint, value: str) -> None:
    headers = {**bearer(endpoint.key), "Idempotency-Key": value.encode()}
    answer = httpx.post(f"{endpoint.address}/v1/audio/analyses", headers=headers, files={"file": b"x"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "Idempotency-Key")


def test_an_answer_in_pieces_is_refused_with_the_header(endpoint: Endpoint) -> None:
    answer = endpoint.post(stream="true")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "Idempotency-Key")
    assert endpoint.post(None, stream="true").status_code == 200
