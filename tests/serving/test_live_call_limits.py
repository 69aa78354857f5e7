"""What a live call refuses, where it is cut, and what it leaves behind, over real WebSockets."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.serving.call_sounds import demo_call
from tests.serving.live_client import PATH, call
from tests.serving.live_endpoint import Endpoint, endpoint, hold, until

BAD_STARTS = {
    "hello": ("start", "invalid_json"),
    "[1]": ("type", "invalid_value"),
    '{"type": "end"}': ("type", "invalid_value"),
    '{"type": "start"}': ("sample_rate", "invalid_value"),
    '{"type": "start", "sample_rate": 1000}': ("sample_rate", "invalid_value"),
    '{"type": "start", "sample_rate": 96000}': ("sample_rate", "invalid_value"),
    '{"type": "start", "sample_rate": "16000"}': ("sample_rate", "invalid_value"),
    '{"type": "start", "sample_rate": 16000, "channels": 3}': ("channels", "invalid_value"),
    '{"type": "start", "sample_rate": 16000, "codec": "opus"}': ("codec", "invalid_value"),
    '{"type": "start", "sample_rate": 16000, "languages": ["english"]}': ("languages", "invalid_value"),
    '{"type": "start", "sample_rate": 16000, "keywords": [" "]}': ("keywords", "invalid_value"),
    '{"type": "start", "sample_rate": 16000, "keywords": ["a", "\\ud800"]}': ("keywords", "invalid_value"),
    '{"type": "start", "sample_rate": 16000, "prompt": "\\udfff"}': ("prompt", "invalid_value"),
    "[" * 60_000: (None, "invalid_json"),
    "x" * 70_000: (None, "message_too_big"),
}


@pytest.mark.parametrize("text", BAD_STARTS, ids=lambda text: text[:70])
def test_a_bad_start_is_told_by_field(live: Endpoint, text: str) -> None:
    async def started() -> tuple[Any, int | None]:
        async with connect(live.address.replace("http", "ws") + PATH, max_queue=None) as socket:
            await socket.send(text)
            answer = json.loads(await socket.recv())
            await socket.wait_closed()
            return answer, socket.close_code

    answer, close_code = asyncio.run(started())
    param, code = BAD_STARTS[text]
    assert answer["error"]["code"] == code
    if code == "invalid_value":
        assert answer["error"]["param"] == param
    assert close_code == 4000 + answer["status"]


def test_half_a_sample_and_a_message_too_large_are_refused(live: Endpoint) -> None:
    heard = hold(live, np.zeros((16_001, 1), dtype=np.int16), {"channels": 2}, message_s=2)
    assert heard.last["error"]["code"] == "invalid_sound"
    heard = hold(live, np.zeros((600_000, 1), dtype=np.int16), message_s=60)
    assert heard.last["error"]["code"] == "message_too_big"


def test_a_call_without_a_sample_is_refused_at_its_end(live: Endpoint) -> None:
    heard = hold(live, np.zeros((0, 1), dtype=np.int16))
    assert (heard.last["status"], heard.last["error"]["code"]) == (422, "no_samples")


def test_a_call_is_cut_at_its_limit_and_analysed(tmp_path: Path) -> None:
    with endpoint(tmp_path, max_stream_s=5.0) as live:
        heard = hold(live)
        assert heard.last["ended_by"] == "max_stream_s"
    with endpoint(tmp_path, max_job_body_bytes=200_000) as live:
        heard = hold(live)
        assert heard.last["ended_by"] == "max_job_body_bytes"


def test_a_call_too_long_for_a_request_is_scored_as_a_job_is_but_not_behind_jobs(tmp_path: Path) -> None:
    with endpoint(tmp_path, max_audio_s=10.0, max_body_bytes=1_000) as live:
        hold(live)
        (whole,) = (asked for asked in live.scorers.asked if isinstance(asked.sound, Path))
        assert (whole.is_job, whole.is_call) == (True, True)
        assert not whole.sound.exists()


def test_a_client_that_sends_nothing_is_given_up(tmp_path: Path) -> None:
    with endpoint(tmp_path, stream_silence_s=0.5) as live:
        heard = hold(live, demo_call(num_s=1), ends=False)
        assert (heard.last["status"], heard.last["error"]["code"]) == (408, "silent_client")


def test_more_calls_than_there_is_room_for_are_refused(tmp_path: Path) -> None:
    for limit, status, code in (
        ("max_streams", 503, "too_many_streams"),
        ("max_streams_per_key", 429, "rate_limit_exceeded"),
    ):
        check_calls_at_a_limit(tmp_path, limit, status, code)


def check_calls_at_a_limit(state: Path, limit: str, status: int, code: str) -> None:
    with endpoint(state, **{limit: 1}, stream_silence_s=5.0) as live:

        async def second() -> Any:
            async with connect(live.address.replace("http", "ws") + PATH, max_queue=None) as socket:
                await socket.send('{"type": "start", "sample_rate": 16000}')
                await socket.recv()
                refused = await call(live.address, demo_call(num_s=1))
                await socket.close()
                await asyncio.sleep(0.3)
                return refused, await call(live.address, demo_call(num_s=1))

        refused, after = asyncio.run(second())
        assert (refused.last["status"], refused.last["error"]["code"]) == (status, code)
        assert refused.close_code == 4000 + status
        assert after.last["type"] == "final"


def test_a_client_that_hangs_up_ends_the_work_and_leaves_no_file(live: Endpoint) -> None:
    live.scorers.delay_s = 30.0

    async def hang_up(ends: bool) -> None:
        async with connect(live.address.replace("http", "ws") + PATH, max_queue=None) as socket:
            await socket.send('{"type": "start", "sample_rate": 16000, "channels": 2}')
            for part in np.split(demo_call(), 20):
                await socket.send(part.tobytes())
            if ends:
                await socket.send('{"type": "end"}')
            await until(lambda: live.scorers.num_running == (2 if ends else 1))
        await until(lambda: live.scorers.num_running == 0)
        await until(lambda: not list((Path(live.options.state) / "streams").iterdir()))

    for ends in (True, False):
        asyncio.run(hang_up(ends))
        assert live.admission.in_flight == 0


def test_what_a_killed_gateway_left_is_removed_and_what_is_fresh_is_kept(tmp_path: Path) -> None:
    import os

    folder = tmp_path / "streams"
    folder.mkdir()
    for name, age_s in (("live-old.wav", 10_000.0), ("live-new.wav", 0.0)):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - age_s,) * 2)
    with endpoint(tmp_path) as live:
        hold(live, demo_call(num_s=1))
    assert [path.name for path in folder.iterdir()] == ["live-new.wav"]


def test_another_sites_page_opens_no_call(live: Endpoint) -> None:
    async def opened(origin: str) -> int | None:
        try:
            async with connect(live.address.replace("http", "ws") + PATH, origin=origin):
                return None
        except InvalidStatus as refusal:
            return refusal.response.status_code

    assert asyncio.run(opened("https://elsewhere.example")) == 403
    assert [(one.status, one.code) for one in live.ended] == [(403, "foreign_origin")]
    assert asyncio.run(opened(live.address)) is None


def test_a_browsers_key_is_not_sent_back(live: Endpoint) -> None:
    async def chosen() -> str | None:
        address = live.address.replace("http", "ws") + PATH
        async with connect(address, subprotocols=["mmer.bearer.secret", "mmer.stream"]) as socket:
            return socket.subprotocol

    assert asyncio.run(chosen()) == "mmer.stream"
