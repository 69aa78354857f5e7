"""What is sent in front of a body is bounded in bytes and time, before our app is asked."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from uvicorn import config

from mmer_ray.serving.bounded_heads import BoundedHttp, bound_heads
from mmer_ray.serving.proxy_headers import ProxyHeaders
from tests.serving.guarded_app import KEY, PATH, Guarded, post, refusal
from tests.serving.http_server import serving


class Hasty(BoundedHttp):
    head_s = 0.4


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(Guarded().app, http=Hasty) as address:
        yield address


@contextmanager
def connected(address: str) -> Iterator[socket.socket]:
    url = urlsplit(address)
    with socket.create_connection((url.hostname, url.port), timeout=20) as connection:
        yield connection


def flood(connection: socket.socket, piece: bytes, num_bytes: int) -> int:
    """Send a piece over and over; the bytes that were taken before the connection ended."""
    sent = 0
    try:
        while sent < num_bytes:
            connection.sendall(piece)
            sent += len(piece)
    except ConnectionError:
        pass
    return sent


def check_serves(address: str) -> None:
    with httpx.Client(base_url=address, headers=KEY, trust_env=False) as client:
        # Twice on one connection.
        assert [post(client).status_code, post(client).status_code] == [200, 200]


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"GET /healthz HTTP/1.1\r\nX: ", b"a" * 65_536),
        (b"GET /healthz HTTP/1.1\r\n", b"X: a\r\n" * 10_000),
        (b"GET /", b"a" * 65_536),
        (
            f"POST {PATH} HTTP/1.1\r\nAuthorization: {KEY['Authorization']}\r\nTransfer-Encoding: chunked\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n3\r\n--x\r\n0\r\n".encode(),
            b"X: a\r\n" * 10_000,
        ),
        (b"POST /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"a" * 65_536),
    ],
    ids=["one header", "many headers", "address", "trailers", "chunk extension"],
)
def test_an_endless_head_ends_the_connection_and_is_not_kept(address: str, start: bytes, piece: bytes) -> None:
    before = _rss_bytes()
    with connected(address) as connection:
        connection.sendall(start)
        assert flood(connection, piece, 64 << 20) < 16 << 20
    assert _rss_bytes() - before < 8 << 20
    check_serves(address)


def test_a_head_that_is_a_little_too_big_is_refused_in_the_one_shape(address: str) -> None:
    with httpx.Client(base_url=address, headers=KEY, trust_env=False) as client:
        answer = client.get("/healthz", headers={f"x-{number}": "a" * 8_000 for number in range(5)})
    assert refusal(answer) == (431, "headers_too_large")


@pytest.mark.parametrize(("sent", "answer"), [(b"", b""), (b"GET /healthz HTTP/1.1\r\nX: ", b"HTTP/1.1 408 ")])
def test_a_head_that_does_not_come_ends_the_connection(address: str, sent: bytes, answer: bytes) -> None:
    with connected(address) as connection:
        began = time.monotonic()
        connection.sendall(sent)
        assert connection.recv(1_000)[:13] == answer
        assert 0.3 < time.monotonic() - began < 2
    check_serves(address)


def test_bodies_and_answers_may_take_longer_than_heads() -> None:
    guarded = Guarded()
    guarded.scorers.delay_s = 1.0
    with serving(guarded.app, http=Hasty) as address:
        check_serves(address)


def test_all_servers_of_a_process_may_be_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(config.HTTP_PROTOCOLS, "auto", "")
    assert [middleware.cls for middleware in bound_heads()] == [ProxyHeaders]
    settings = config.Config(Guarded().app)
    settings.load()
    assert settings.http_protocol_class is BoundedHttp


def _rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096
