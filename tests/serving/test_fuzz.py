"""Whatever is sent, no answer is a 5xx but 503, memory does not grow, and the next good clip is served."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mmer_ray.profiles import load_profile
from mmer_ray.serving.local_scorers import LocalScorers
from mmer_ray.serving.scorer import OnlineScorer
from tests.serving.endpoint import Endpoint, endpoint
from tests.serving.fuzzed_requests import TRANSCRIPTIONS, Fuzz, Fuzzed, bad_files, real_files

AT_A_TIME = 8
BATCH = 50
ANSWER_S = 60.0


@pytest.fixture(scope="module")
def scorers() -> Iterator[LocalScorers]:
    """The project's own tiny models, with the real decoder."""
    with OnlineScorer(load_profile("synthetic")) as scorer, LocalScorers(scorer, 8) as local:
        yield local


CLIENT_WENT = "ASGI callable returned without completing handshake."
"""What uvicorn writes where a WebSocket client goes away before it is accepted: it passes over the acceptance without
telling the application (`WebSocketsSansIOProtocol.send` of uvicorn 0.54), and then misses it."""


@pytest.mark.parametrize(
    ("num_requests", "max_growth"),
    # Memory that threads and libraries keep is still growing after so few requests as the quick run has.
    [(300, 0.25), pytest.param(10_000, 0.10, marks=[pytest.mark.slow, pytest.mark.timeout(7_200)])],
)
def test_whatever_is_sent_the_endpoint_goes_on(
    num_requests: int, max_growth: float, scorers: LocalScorers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    statuses: Counter[str] = Counter()
    with endpoint(scorers, tmp_path / "state", max_jobs=20, keep_jobs_s=1, body_silence_s=2) as served:
        fuzz = Fuzz(served.key, bad_files(tmp_path / "bad"))
        warm_at, warm_bytes = num_requests // 2, 0
        for start in range(0, num_requests, BATCH):
            with caplog.at_level(logging.ERROR):
                numbers = range(start, min(start + BATCH, num_requests))
                statuses.update(asyncio.run(_sent(served, fuzz, numbers)))
            _check_good_clip(served)
            if not warm_bytes and start + BATCH >= warm_at:
                warm_bytes = _rss_bytes()
        growth = _rss_bytes() / warm_bytes - 1
    print(f"{num_requests} requests: {dict(sorted(statuses.items()))}; memory grew by {growth:.1%}")
    told = [record.getMessage() for record in caplog.records if record.name.startswith(("mmer_ray", "uvicorn"))]
    assert [one for one in told if one != CLIENT_WENT] == []
    assert growth < max_growth
    # The walls were met, not only the first of them.
    assert {"200", "400", "401", "404", "405", "413", "414", "415", "422", "431"} <= set(statuses)


async def _sent(served: Endpoint, fuzz: Fuzz, numbers: range) -> list[str]:
    """The status of each answer; `none` where none was to come."""
    free = asyncio.Semaphore(AT_A_TIME)

    async def one(number: int) -> str:
        async with free:
            return await _status(served.address, number, fuzz.request(number))

    return await asyncio.gather(*(one(number) for number in numbers))


async def _status(address: str, number: int, fuzzed: Fuzzed) -> str:
    url = urlsplit(address)
    told = f"request {number}, {fuzzed.kind}"
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        writer.write(fuzzed.sent)
        await writer.drain()
        if fuzzed.hangs_up:
            return "none"
        if not fuzzed.is_http:
            writer.write_eof()
        async with asyncio.timeout(ANSWER_S):
            answer = await reader.read()
    except ConnectionError:
        assert not fuzzed.is_http, f"{told}: the connection was reset"
        return "none"
    except TimeoutError:
        raise AssertionError(f"{told}: no answer") from None
    finally:
        writer.close()
    if not answer:
        assert not fuzzed.is_http, f"{told}: closed without an answer"
        return "none"
    return _checked(answer, told)


def _checked(answer: bytes, told: str) -> str:
    head, _, body = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    assert status < 500 or status == 503, f"{told}: {answer[:600]!r}"
    if status >= 400 and b"\r\ncontent-type: application/json" in head.lower() and body:
        try:
            error = json.loads(body)["error"]
        except ValueError:
            raise AssertionError(f"{told}: {answer[:600]!r}") from None
        assert set(error) == {"message", "type", "param", "code", "request_id"}, told
        assert "Traceback" not in error["message"], told
        assert "/tmp" not in error["message"], f"{told}: {error['message']}"
    return str(status)


def _check_good_clip(served: Endpoint) -> None:
    with served.client() as client:
        answer = client.post(TRANSCRIPTIONS, data={"model": "mmer"}, files={"file": ("a.wav", real_files()[0])})
    assert answer.status_code == 200, answer.text


def _rss_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4_096
