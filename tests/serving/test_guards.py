"""A request refused is answered in the one shape, read by the client every time, and the next one is served."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from mmer_ray.errors import ErrorCode, UsageError
from mmer_ray.serving.bounded_heads import BoundedHttp
from mmer_ray.serving.health import Disk
from mmer_ray.serving.interface import ScorersUnavailableError
from tests.serving.cheap_scorers import failed
from tests.serving.guarded_app import KEY, PATH, Guarded, OpenGuarded, opened, post, refusal
from tests.serving.http_server import serving
from tests.serving.sounds import wav

__all__ = ["opened"]

MULTIPART = {"content-type": "multipart/form-data; boundary=x"}


def until(holds: Callable[[], bool], timeout_s: float = 5.0) -> float:
    """Wait until something holds; the seconds it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < timeout_s, "it never came to hold"
        time.sleep(0.005)
    return time.monotonic() - began


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


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (failed(ErrorCode.CORRUPT_HEADER), (422, "corrupt_header")),
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
