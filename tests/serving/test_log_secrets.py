"""No key reaches a log, in whatever form it is written."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse
from uvicorn.logging import AccessFormatter

from mmer_ray.serving.key_file import KeyFile
from mmer_ray.serving.log_secrets import SecretsFilter, hide, hide_secrets
from tests.serving.http_server import serving

KEY = "mmer_Zx81QqW3pLk7Vt2RrYh5Nn0Bb9Cc4Dd6Ee8Ff1Gg3H"


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger and what it wrote."""
    logger, written = logging.getLogger("tests.log_secrets"), io.StringIO()
    handler = logging.StreamHandler(written)
    handler.addFilter(SecretsFilter())
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, written
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {KEY}",
        f"authorization:{KEY}",
        f"{{'Authorization': 'Bearer {KEY}'}}",
        f'{{"authorization": "{KEY}"}}',
        f"(b'authorization', b'Bearer {KEY}')",
        f"Sec-WebSocket-Protocol: mmer, mmer.bearer.{KEY}",
        f"GET /v1/jobs?token={KEY}&limit=1",
        f"x-api-key={KEY}",
        f"the key {KEY} was refused",
        f"https://user:{KEY}@example.org/a.wav",
        f"https://{KEY}@example.org/a.wav",
        f"https://b.s3.amazonaws.com/a?X-Amz-Signature={KEY}&X-Amz-Expires=60",
        f"Cookie: session={KEY}",
    ],
)
def test_a_key_is_hidden_in_every_form(text: str) -> None:
    assert KEY[8:] not in hide(text)


@pytest.mark.parametrize("secret", ["hf_" + "aB3" * 11, "AKIAIOSFODNN7EXAMPLE", "sk-proj-" + "x1" * 20])
def test_secrets_of_others_are_told_by_their_form(secret: str) -> None:
    assert secret not in hide(f"read with {secret}.")


def test_what_is_no_secret_stays() -> None:
    for text in (
        "request 3f0c failed: ValueError at /app/mmer_ray/serving/access.py:70 _caller",
        "GET /v1/audio/transcriptions 200 in 1.3 s, 25 MB",
        "the token bucket is empty; 3 tokens: wait",
        "https://example.org/a.wav?limit=3",
        "mmer_ray.serving.key_file",
    ):
        assert hide(text) == text


def test_a_key_among_the_arguments_of_a_record_is_hidden(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log
    logger.error("headers %s, %d bytes", {"authorization": f"Bearer {KEY}"}, 12)
    logger.error("%(name)s asked with %(key)s", {"name": "dialler", "key": KEY})
    logger.error("Authorization: Bearer %s", "short-secret")
    assert KEY not in written.getvalue()
    assert "short-secret" not in written.getvalue()
    assert "12 bytes" in written.getvalue()
    assert "dialler asked with mmer_***" in written.getvalue()


def test_a_key_in_the_text_of_an_exception_is_hidden(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log
    try:
        raise ValueError(f"no such header: Authorization: Bearer {KEY}")
    except ValueError:
        logger.exception("it failed")
    assert "ValueError" in written.getvalue()
    assert KEY not in written.getvalue()


def test_the_servers_access_log_is_whole_but_for_the_key() -> None:
    logger, written = logging.getLogger("uvicorn.access"), io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(AccessFormatter("%(request_line)s %(status_code)s"))
    with serving(PlainTextResponse("here"), access_log=True, log_level="info", lifespan="off") as address:
        # uvicorn sets up its logging when it starts.
        logger.addHandler(handler)
        try:
            hide_secrets()
            httpx.get(f"{address}/v1/jobs?token={KEY}&limit=1")
            httpx.get(f"{address}/authorization:?limit=1")
        finally:
            logger.removeHandler(handler)
    lines = written.getvalue().splitlines()
    assert lines == ["GET /v1/jobs?token=***&limit=1 HTTP/1.1 200 OK", "GET /authorization%3A?limit=1 HTTP/1.1 200 OK"]


def test_a_real_key_is_hidden(tmp_path: Path) -> None:
    for number in range(50):
        key = KeyFile(tmp_path / "keys.json").add(f"key{number}")
        assert key.removeprefix("mmer_") not in hide(f"key {key}, and again '{key}'")


@pytest.mark.parametrize(
    "part",
    [
        *("x-amz-", "x-amz-a", "a-", "authorization", "authorization ", "token ", "token'", "bearer ", "bearer a"),
        *("a://", "mmer_", "sk-", "AKIA", "authorization: basic ", "cookie\t\t", "a", "ab://x@", "signature="),
    ],
)
def test_a_text_that_is_made_to_be_slow_is_not(part: str) -> None:
    text = part * (65_536 // len(part))
    began = time.process_time()
    hide(text)
    # One that is quadratic takes over ten seconds.
    assert time.process_time() - began < 1.5


def test_hiding_twice_puts_one_filter_on_a_handler() -> None:
    logger, handler = logging.getLogger("tests.twice"), logging.StreamHandler(io.StringIO())
    logger.addHandler(handler)
    hide_secrets()
    hide_secrets()
    assert [type(one) for one in handler.filters] == [SecretsFilter]
    logger.removeHandler(handler)
