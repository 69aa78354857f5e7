"""A request refused is answered in the one shape, read by the client every time, and the next one is served."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from mmer_ray.serve_options import ServeOptions
from tests.serving.guarded_app import KEY, PATH, Guarded
from tests.serving.http_server import serving
from tests.serving.sounds import wav

Open = Callable[..., tuple[Guarded, httpx.Client]]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens a server with its own settings of `[serve]`; what serves, and a client with a key."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def start(http: str = "httptools", **options: object) -> tuple[Guarded, httpx.Client]:
            guarded = Guarded(ServeOptions(**options))  # type: ignore[arg-type]
            address = stack.enter_context(serving(guarded.app, http=http))
            client = stack.enter_context(httpx.Client(base_url=address, headers=KEY, timeout=20, trust_env=False))
            return guarded, client

        yield start


def post(client: httpx.Client, sound: bytes = wav(), **more: object) -> httpx.Response:
    return client.post(PATH, files={"file": ("clip.wav", sound)}, **more)  # type: ignore[arg-type]


def refusal(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code", "request_id"}
    assert error["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, error["code"]


def until(holds: Callable[[], bool], timeout_s: float = 5.0) -> float:
    """Wait until something holds; the seconds it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < timeout_s, "it never came to hold"
        time.sleep(0.005)
    return time.monotonic() - began


def test_a_good_clip_is_answered(opened: Open) -> None:
    guarded, client = opened()
    answer = post(client)
    assert (answer.status_code, answer.text) == (200, "good morning hello")
    until(lambda: len(guarded.ended) == 1)
    ended = guarded.ended[0]
    assert (ended.key, ended.route, ended.status, ended.audio_s, ended.code) == ("alice", PATH, 200, 2.0, None)
    assert ended.body_bytes > len(wav())


@pytest.mark.parametrize("http", ["httptools", "h11"])
@pytest.mark.parametrize("is_streamed", [False, True], ids=["length told", "chunked"])
def test_a_client_that_is_refused_while_it_sends_reads_the_answer_every_time(
    opened: Open, http: str, is_streamed: bool
) -> None:
    _, client = opened(http, max_body_bytes=1 << 20)

    def chunks() -> Iterator[bytes]:
        for _ in range(64):
            yield bytes(1 << 17)

    def send(headers: dict[str, str]) -> httpx.Response:
        content = chunks() if is_streamed else bytes(8 << 20)
        return client.post(PATH, content=content, headers={"content-type": "multipart/form-data; boundary=x"} | headers)

    for _ in range(10):
        # The form is broken before it is too big, where its length is not told.
        assert refusal(send({})) in [(413, "body_too_big"), (400, "broken_form")]
        assert refusal(send({"Authorization": "Bearer bad"})) == (401, "invalid_api_key")
        assert post(client).status_code == 200
