"""Ray Serve's proxy is told nothing by strangers, and names a request as the gateway does."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from mmer_ray.serving.proxy_headers import ProxyHeaders

Headers = list[tuple[bytes, bytes]]
USUAL: Headers = [(b"host", b"localhost"), (b"authorization", b"Bearer good"), (b"x-other", b"\xff")]


def passed(headers: Headers, kind: str = "http") -> Headers:
    """What of the headers comes through."""
    seen: list[Headers] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["headers"])

    async def nothing(*_: Any) -> Any:
        raise AssertionError("nothing is received or sent")

    asyncio.run(ProxyHeaders(inner)({"type": kind, "headers": headers}, nothing, nothing))
    return seen[0]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "name",
    [
        b"x-request-timeout-seconds",
        b"x-request-disconnect-disabled",
        b"serve-multiplexed-model-id",
        b"serve_multiplexed_model_id",
        b"x-session-id",
        b"x_session_id",
    ],
)
def test_headers_that_serves_proxy_heeds_are_taken_away_and_all_others_pass(name: bytes, kind: str) -> None:
    for value in (b"\xff", b"1", b""):
        assert passed([*USUAL, (name, value)], kind) == USUAL


@pytest.mark.parametrize(
    ("given", "is_passed"),
    [
        ([b"Root=1-67891233-abcdef012345678912345678"], True),
        ([b"\xff"], False),
        ([b"a b"], False),
        ([b"x" * 129], False),
        ([b"one", b"two"], False),
    ],
)
def test_a_request_id_passes_where_the_gateway_takes_it(given: list[bytes], is_passed: bool) -> None:
    ids = [(b"x-request-id", one) for one in given]
    assert passed([*ids, *USUAL]) == ([*ids, *USUAL] if is_passed else USUAL)


@pytest.mark.parametrize(
    ("status", "media_type", "is_replaced"),
    [(404, b"text/plain; charset=utf-8", True), (404, b"application/json", False), (503, b"text/plain", False)],
)
def test_where_the_proxy_has_no_gateway_callers_are_told_to_try_again(
    status: int, media_type: bytes, is_replaced: bool
) -> None:
    sent: list[Any] = []

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        head = [(b"content-type", media_type), (b"x-request-id", b"req-1")]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": b"Path '/v1/jobs/1' not found."})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing is received")

    asyncio.run(ProxyHeaders(proxy)({"type": "http", "headers": USUAL}, receive, send))

    start, body = sent
    if not is_replaced:
        assert (start["status"], body["body"]) == (status, b"Path '/v1/jobs/1' not found.")
        return
    assert start["status"] == 503
    assert {(b"retry-after", b"2"), (b"x-request-id", b"req-1")} <= set(start["headers"])
    told = json.loads(body["body"])["error"]
    assert (told["code"], told["request_id"]) == ("unavailable", "req-1")
