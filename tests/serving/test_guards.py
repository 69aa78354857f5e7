"""A request refused is answered in the one shape, read by the client every time, and the next one is served."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from mmer_ray.serving.bounded_heads import BoundedHttp
from tests.serving.guarded_app import KEY, PATH, Guarded, OpenGuarded, opened, post, refusal, until
from tests.serving.http_server import serving
from tests.serving.sounds import wav

__all__ = ["opened"]

MULTIPART = {"content-type": "multipart/form-data; boundary=x"}


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096


def connected(client: httpx.Client) -> socket.socket:
    url = client.base_url
    return socket.create_connection((url.host, url.port or 80), timeout=20)


def head(length: int = 100_000, path: str = PATH) -> bytes:
    """The head of an upload, with a key."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {KEY['Authorization']}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def status_of(connection: socket.socket) -> int:
    return int(connection.recv(65_536).split(b" ", 2)[1])


def test_a_good_clip_is_answered(opened: OpenGuarded) -> None:
    guarded, client = opened()
    answer = post(client)
    assert (answer.status_code, answer.text) == (200, "good morning hello")
    until(lambda: len(guarded.ended) == 1)
    ended = guarded.ended[0]
    assert (ended.key, ended.route, ended.status, ended.audio_s, ended.code) == ("alice", PATH, 200, 2.0, None)
    assert ended.body_bytes > len(wav())
    assert ended.request_id == answer.headers["x-request-id"]


@pytest.mark.parametrize("http", [BoundedHttp, "httptools", "h11"])
@pytest.mark.parametrize("is_streamed", [False, True], ids=["length told", "chunked"])
def test_a_client_that_is_refused_while_it_sends_reads_the_answer_every_time(
    opened: OpenGuarded, http: Any, is_streamed: bool
) -> None:
    _, client = opened(http, max_body_bytes=1 << 20)
    start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'

    def chunks() -> Iterator[bytes]:
        yield start
        for _ in range(64):
            yield bytes(1 << 17)

    def send(headers: dict[str, str]) -> httpx.Response:
        content = chunks() if is_streamed else start + bytes(8 << 20)
        return client.post(PATH, content=content, headers=MULTIPART | headers)

    for _ in range(10):
        assert refusal(send({})) == (413, "body_too_big")
        assert refusal(send({"Authorization": "Bearer bad"})) == (401, "invalid_api_key")
        assert refusal(client.post("/nowhere", content=bytes(1 << 19))) == (404, "not_found")
        assert post(client).status_code == 200


@pytest.mark.parametrize("http", [BoundedHttp, "httptools", "h11"])
def test_a_client_that_is_refused_may_send_to_its_end(opened: OpenGuarded, http: Any) -> None:
    _, client = opened(http, max_body_bytes=1 << 20)
    length = 16 << 20
    for sent, status in [(head(length), 413), (head(length).replace(b"good", b"bad"), 401)]:
        with connected(client) as connection:
            # Clients that meet a reset connection here never look for an answer.
            connection.sendall(sent + bytes(length))
            assert status_of(connection) == status
            assert connection.recv(1) in (b"", b"{")


def test_a_body_that_is_too_big_by_its_own_account_is_refused_before_it_is_sent(opened: OpenGuarded) -> None:
    guarded, client = opened()
    with connected(client) as connection:
        connection.sendall(head(26 << 20))
        assert status_of(connection) == 413
    assert guarded.scorers.num_asked == 0


@pytest.mark.parametrize("max_body_mb", [25, 64])
def test_a_large_body_is_not_held_in_memory_while_it_arrives(opened: OpenGuarded, max_body_mb: int) -> None:
    guarded, client = opened(max_body_bytes=max_body_mb << 20)
    before, most = rss_bytes(), 0

    def chunks() -> Iterator[bytes]:
        nonlocal most
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        for _ in range(26 << 4):
            yield bytes(1 << 16)
            most = max(most, rss_bytes())

    answer = client.post(PATH, content=chunks(), headers=MULTIPART)
    # The larger one is refused for its missing end.
    assert refusal(answer) == ((413, "body_too_big") if max_body_mb == 25 else (400, "broken_form"))
    assert most - before < 8 << 20
    assert guarded.scorers.num_asked == 0


def test_jobs_may_send_more_than_those_who_wait(opened: OpenGuarded) -> None:
    _, client = opened(max_body_bytes=1_000, max_job_body_bytes=10_000)
    sent = {"content": bytes(5_000)}
    assert client.post("/v1/jobs", **sent).status_code == 404  # type: ignore[arg-type]
    wishes = {"Prefer": "wait=5, respond-async"}
    assert client.post("/v1/audio/analyses", headers=wishes, **sent).status_code == 404  # type: ignore[arg-type]
    assert client.post("/v1/audio/analyses", **sent).status_code == 413  # type: ignore[arg-type]


@pytest.mark.parametrize(("sent", "options"), [(b"--x", {}), (b"", {}), (b"drip", {"body_silence_s": 10.0})])
def test_a_body_that_is_silent_or_slow_is_given_up(opened: OpenGuarded, sent: bytes, options: dict[str, float]) -> None:
    guarded, client = opened(**{"body_silence_s": 0.3, "body_timeout_s": 0.8} | options)
    with connected(client) as connection:
        connection.sendall(head())
        began = time.monotonic()
        if sent == b"drip":
            for _ in range(12):
                connection.sendall(b"\r\n")
                time.sleep(0.1)
        else:
            connection.sendall(sent)
        assert status_of(connection) == 408
        assert time.monotonic() - began < 2
    until(lambda: guarded.arrival.num_arriving == 0)
    assert post(client).status_code == 200


def test_compressed_bodies_are_refused(opened: OpenGuarded) -> None:
    _, client = opened()
    answer = client.post(PATH, content=b"\x1f\x8b", headers=MULTIPART | {"Content-Encoding": "gzip"})
    assert refusal(answer) == (415, "unsupported_encoding")


def test_200_half_sent_uploads_hold_up_neither_health_nor_the_next_good_clip(opened: OpenGuarded) -> None:
    guarded, client = opened()
    halves = [connected(client) for _ in range(200)]
    try:
        for half in halves:
            half.sendall(head() + b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF')
        until(lambda: guarded.arrival.num_arriving == 200)
        began = time.monotonic()
        assert client.get("/healthz").json() == {"status": "ok"}
        assert time.monotonic() - began < 1
        assert post(client).status_code == 200
        assert time.monotonic() - began < 5
        assert guarded.admission.in_flight == 0
    finally:
        for half in halves:
            half.close()
    # Those who hang up while they send are no errors of ours, and their places are free.
    until(lambda: guarded.arrival.num_arriving == 0)
    until(lambda: len(guarded.ended) == 202)
    assert {ended.status for ended in guarded.ended} == {200, 499}


def test_no_more_bodies_may_arrive_at_a_time_than_there_are_places(opened: OpenGuarded) -> None:
    guarded, client = opened(max_uploads=3)
    halves = [connected(client) for _ in range(3)]
    for half in halves:
        half.sendall(head() + b"--x")
    until(lambda: guarded.arrival.num_arriving == 3)
    answer = post(client)
    assert refusal(answer) == (503, "too_many_uploads")
    assert answer.headers["retry-after"] == "2"
    assert client.get("/healthz").status_code == 200
    halves.pop().close()
    until(lambda: guarded.arrival.num_arriving == 2)
    assert post(client).status_code == 200
    for half in halves:
        half.close()


@pytest.mark.parametrize("http", [BoundedHttp, "httptools", "h11"])
def test_a_client_that_hangs_up_cancels_its_work_and_frees_its_place(opened: OpenGuarded, http: Any) -> None:
    guarded, client = opened(http, max_in_flight=1)
    guarded.scorers.delay_s = 60
    body = httpx.Request("POST", "http://x", files={"file": ("a.wav", wav())})
    with connected(client) as connection:
        kind = body.headers["content-type"].encode()
        connection.sendall(head(len(body.read())).replace(b"multipart/form-data; boundary=x", kind) + body.read())
        until(lambda: guarded.scorers.num_running == 1)
        assert guarded.admission.in_flight == 1
        assert refusal(post(client)) == (503, "overloaded")
    assert until(lambda: guarded.scorers.num_cancelled == 1) < 2
    until(lambda: guarded.admission.in_flight == 0)
    guarded.scorers.delay_s = 0
    assert post(client).status_code == 200
    until(lambda: [ended.status for ended in guarded.ended] == [503, 499, 200])
    assert guarded.admission.queued_s == 0


def test_an_answer_that_takes_too_long_is_given_up(opened: OpenGuarded) -> None:
    guarded, client = opened(request_timeout_s=0.2)
    guarded.scorers.delay_s = 60
    answer = post(client)
    assert refusal(answer) == (503, "timeout")
    assert "retry-after" in answer.headers
    assert (guarded.scorers.num_cancelled, guarded.admission.in_flight) == (1, 0)


def test_one_key_may_not_take_all_places(opened: OpenGuarded) -> None:
    guarded, client = opened(max_in_flight_per_key=2, max_in_flight=8)
    guarded.scorers.delay_s = 0.5
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: post(client), range(6)))
    refused = [refusal(answer) for answer in answers if answer.status_code != 200]
    assert refused == [(429, "rate_limit_exceeded")] * 4
    assert guarded.scorers.most_running == 2


def test_audio_waits_up_to_so_many_seconds(opened: OpenGuarded) -> None:
    guarded, client = opened(max_queued_s=10)
    guarded.scorers.delay_s = 0.5
    with ThreadPoolExecutor(4) as pool:
        # The first is longer than all that may wait, and taken because nothing does.
        first = pool.submit(post, client, wav(12))
        until(lambda: guarded.scorers.num_running == 1)
        second = pool.submit(post, client, wav(1))
        assert refusal(second.result()) == (503, "overloaded")
        assert first.result().status_code == 200


def test_an_endpoint_that_stops_lets_end_what_it_has_taken(opened: OpenGuarded) -> None:
    guarded, client = opened()
    guarded.scorers.delay_s = 0.5
    with ThreadPoolExecutor(1) as pool:
        taken = pool.submit(post, client)
        until(lambda: guarded.scorers.num_running == 1)
        guarded.admission.drain()
        assert refusal(post(client)) == (503, "stopping")
        assert refusal(client.get("/readyz")) == (503, "not_ready")
        assert client.get("/healthz").status_code == 200
        assert taken.result().status_code == 200


def test_work_is_cancelled_when_the_server_stops() -> None:
    guarded = Guarded()
    guarded.scorers.delay_s = 60
    with ThreadPoolExecutor(1) as pool, serving(guarded.app, timeout_graceful_shutdown=1) as address:
        pool.submit(httpx.post, address + PATH, files={"file": ("clip.wav", wav())}, headers=KEY, timeout=30)
        until(lambda: guarded.scorers.num_running == 1)
    until(lambda: guarded.scorers.num_cancelled == 1)
    assert guarded.admission.in_flight == 0


@pytest.mark.parametrize("frames", [b"", b"\xff" * 50], ids=["leaves", "sends no frames"])
def test_a_websocket_client_that_is_gone_before_it_is_let_in_is_no_bug(
    opened: OpenGuarded, caplog: pytest.LogCaptureFixture, frames: bytes
) -> None:
    guarded, client = opened()
    request = (
        "GET /v1/late HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with caplog.at_level(logging.ERROR), connected(client) as connection:
        connection.sendall(request.encode() + frames)
        assert guarded.socket_asked.wait(5)
    assert guarded.socket_answered.wait(5)
    assert post(client).status_code == 200
    assert caplog.records == []
