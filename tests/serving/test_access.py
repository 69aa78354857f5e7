"""Without a valid key nothing is answered and nothing of the body is read."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from mmer_ray.serving.access import Access, caller_of, is_open
from mmer_ray.serving.ended import Ended
from mmer_ray.serving.errors_middleware import Errors, RequestIds
from mmer_ray.serving.key_file import KeyFile
from tests.serving.http_server import serving
from tests.serving.keyed_app import bearer

RETRY_S = 7


class Inner:
    """What is behind the door: counts who comes through, and says who it is."""

    def __init__(self) -> None:
        self.num_calls = 0
        self.ended: list[Ended] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        self.num_calls += 1
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept", "subprotocol": None})
            await send({"type": "websocket.send", "text": caller_of(scope).name})
            await send({"type": "websocket.close", "code": 1000})
            return
        await PlainTextResponse(str(scope["state"]["key"]))(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


@pytest.fixture
def inner() -> Inner:
    return Inner()


@pytest.fixture
def address(keys: KeyFile, inner: Inner) -> Iterator[str]:
    with serving(RequestIds(Errors(Access(inner, keys, RETRY_S), [inner.ended.append]))) as address:
        yield address


def test_a_valid_key_comes_through_with_its_name(address: str, keys: KeyFile) -> None:
    key = keys.add("dialler")
    answer = httpx.get(f"{address}/v1/models", headers=bearer(key))
    assert (answer.status_code, answer.text) == (200, "dialler")
    assert httpx.get(f"{address}/v1/models", headers={"authorization": f"bearer  {key}"}).status_code == 200


def test_without_a_key_with_a_wrong_one_and_with_a_revoked_one_the_answer_is_401(
    address: str, keys: KeyFile, inner: Inner
) -> None:
    key = keys.add("dialler")
    sent = [{}, bearer(key[:-1]), bearer("mmer_" + "x" * 43), {"Authorization": key}, {"Authorization": "Bearer"}]
    sent += [{"Authorization": f"Basic {key}"}, {"X-Api-Key": key}]
    answers = [httpx.post(f"{address}/v1/audio/transcriptions", headers=headers) for headers in sent]
    keys.revoke("dialler")
    answers.append(httpx.post(f"{address}/v1/audio/transcriptions", headers=bearer(key)))
    assert [answer.status_code for answer in answers] == [401] * 8
    assert inner.num_calls == 0
    assert answers[0].json()["error"]["code"] == "missing_api_key"
    assert answers[-1].json()["error"]["code"] == "invalid_api_key"
    assert {answer.json()["error"]["type"] for answer in answers} == {"authentication_error"}
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}


def test_two_keys_at_once_are_refused(address: str, keys: KeyFile) -> None:
    headers = [("Authorization", f"Bearer {keys.add('one')}"), ("Authorization", f"Bearer {keys.add('two')}")]
    assert httpx.get(f"{address}/v1/models", headers=headers).status_code == 401


def test_the_refusal_comes_before_the_body(address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"POST /v1/audio/analyses HTTP/1.1\r\nHost: h\r\nContent-Length: 25000000\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_the_page_and_health_are_open_and_nothing_beside_them_is(address: str) -> None:
    for path in ("/", "/page/style.css", "/healthz", "/readyz", "/docs", "/openapi.json"):
        answer = httpx.get(address + path)
        assert (answer.status_code, answer.text) == (200, "None"), path
    for path in ("/metrics", "/v1/models", "/page", "//", "/healthz/", "/Healthz", "/docs/x", "/openapi.json?x/../.."):
        expected = 200 if path.startswith("/openapi.json") else 401
        assert httpx.get(address + path).status_code == expected, path


def test_a_prefix_in_front_of_the_path_is_no_way_in() -> None:
    assert is_open({"type": "http", "path": "/api/healthz", "root_path": "/api"})
    assert not is_open({"type": "http", "path": "/api/v1/models", "root_path": "/api"})
    assert not is_open({"type": "http", "path": "/apihealthz", "root_path": "/api"})
    assert not is_open({"type": "websocket", "path": "/", "root_path": ""})


def test_a_damaged_key_file_lets_nobody_in(address: str, keys: KeyFile, inner: Inner) -> None:
    key = keys.add("dialler")
    keys.path.write_text("{", encoding="utf-8")
    answer = httpx.get(f"{address}/v1/models", headers=bearer(key))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "keys_unreadable")
    assert answer.headers["retry-after"] == str(RETRY_S)
    assert str(keys.path) not in answer.text
    assert httpx.get(f"{address}/healthz").status_code == 200
    assert inner.num_calls == 1


def test_without_keys_everybody_is_let_in(inner: Inner) -> None:
    with serving(RequestIds(Errors(Access(inner, None, RETRY_S)))) as address:
        assert httpx.get(f"{address}/v1/models").text == "anonymous"


def test_a_websocket_is_opened_by_a_header_or_a_subprotocol(address: str, keys: KeyFile) -> None:
    key, url = keys.add("dialler"), address.replace("http", "ws") + "/v1/audio/stream"
    with connect(url, additional_headers=bearer(key)) as socket_of_header:
        assert socket_of_header.recv() == "dialler"
    # The inner app selects no subprotocol, as a server may.
    with connect(url, subprotocols=["mmer", f"mmer.bearer.{key}"]) as socket_of_protocol:  # type: ignore[list-item]
        assert socket_of_protocol.recv() == "dialler"


def test_a_websocket_without_a_valid_key_is_not_accepted(address: str, keys: KeyFile, inner: Inner) -> None:
    key, url = keys.add("dialler"), address.replace("http", "ws") + "/v1/audio/stream"
    keys.revoke("dialler")
    for options in ({}, {"additional_headers": bearer(key)}, {"subprotocols": [f"mmer.bearer.{key}"]}):
        with pytest.raises(InvalidStatus) as refused, contextlib.closing(connect(url, **options)):  # type: ignore[arg-type]
            pass
        assert refused.value.response.status_code == 401
        assert b"authentication_error" in refused.value.response.body
    assert inner.num_calls == 0
    assert [(one.status, one.key) for one in inner.ended] == [(401, None)] * 3
    assert [one.code for one in inner.ended] == ["missing_api_key", "invalid_api_key", "invalid_api_key"]


def test_without_keys_only_names_of_this_machine_are_answered(inner: Inner) -> None:
    with serving(RequestIds(Errors(Access(inner, None, RETRY_S), []))) as address:
        for host, status in {"localhost:8000": 200, "127.0.0.1": 200, "[::1]:1": 200, "rebound.example": 403}.items():
            assert httpx.get(f"{address}/v1/models", headers={"Host": host}).status_code == status, host
        assert inner.num_calls == 3
        assert httpx.get(f"{address}/healthz", headers={"Host": "rebound.example"}).status_code == 200


def test_without_keys_a_page_of_another_address_is_refused_before_its_form_is_read(inner: Inner) -> None:
    with serving(RequestIds(Errors(Access(inner, None, RETRY_S)))) as address:
        elsewhere = ["https://elsewhere.example", "http://localhost:1", "null", "http://["]
        for origin in elsewhere:
            answer = httpx.post(f"{address}/v1/jobs", headers={"Origin": origin}, files={"file": b"sound"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "foreign_origin"), origin
        assert inner.num_calls == 0
        assert httpx.post(f"{address}/v1/jobs", headers={"Origin": address}, files={"file": b"sound"}).is_success
        assert httpx.get(f"{address}/", headers={"Origin": elsewhere[0]}).is_success


def test_with_a_key_it_does_not_matter_whose_page_asks(address: str, keys: KeyFile) -> None:
    headers = {"Origin": "https://elsewhere.example", **bearer(keys.add("dialler"))}
    assert httpx.post(f"{address}/v1/jobs", headers=headers).status_code == 200
