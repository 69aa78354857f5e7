"""What becomes of a live call whose models are slow, gone, full or wrong, over real WebSockets."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from mmer_ray.errors import ErrorCode, UsageError
from mmer_ray.records import ScoredRecording
from mmer_ray.serving.interface import ScorersUnavailableError, Served
from tests.serving.call_sounds import demo_call, wav
from tests.serving.cheap_scorers import CheapScorers, failed
from tests.serving.live_client import call
from tests.serving.live_endpoint import Endpoint, endpoint, hold, until


def test_models_that_are_gone_for_the_time_of_a_request_and_of_the_call_end_it(tmp_path: Path) -> None:
    with endpoint(tmp_path, CheapScorers(ScorersUnavailableError("died")), request_timeout_s=0.3) as live:
        heard = hold(live, demo_call(num_s=1))
        assert (heard.last["status"], heard.last["error"]["code"]) == (503, "models_unavailable")
        assert heard.close_code == 4503
        assert [asked.sound for asked in live.scorers.asked].count(wav(demo_call(num_s=1))) == 2


class Slow(CheapScorers):
    """Scorers that take their time for sounds on the disk: all of a call."""

    async def score(self, asked: Any) -> ScoredRecording:
        if isinstance(asked.sound, Path):
            await asyncio.sleep(1.0)
        return await super().score(asked)


def test_all_of_a_call_is_scored_however_long_it_takes_and_however_full_the_endpoint_is(tmp_path: Path) -> None:
    options = {"request_timeout_s": 0.3, "max_queued_s": 19.0, "max_audio_s": 15.0, "max_body_bytes": 1_000}
    with endpoint(tmp_path, Slow(), **options) as live:

        async def beside_others() -> Any:
            async with live.admission.place("somebody", 1.0):
                return await call(live.address, demo_call())

        heard = asyncio.run(beside_others())
    assert heard.last["type"] == "final"


def test_a_stretch_that_finds_no_room_is_skipped_and_the_call_goes_on(tmp_path: Path) -> None:
    with endpoint(tmp_path, request_timeout_s=0.3, max_in_flight=1) as live:

        async def beside_others() -> Any:
            async with live.admission.place("somebody", 1.0):
                return await call(live.address, demo_call())

        heard = asyncio.run(beside_others())
    assert len(heard.of("skipped")) >= 1
    assert heard.last["type"] == "final"


def test_a_bad_stretch_costs_itself_alone_and_a_bad_call_says_why(live: Endpoint) -> None:
    live.scorers.answer = failed(ErrorCode.DECODE_ERROR)
    heard = hold(live)
    assert heard.of("utterance") == []
    assert (heard.last["status"], heard.last["error"]["code"]) == (422, "decode_error")


def test_what_the_models_do_not_heed_is_named(live: Endpoint) -> None:
    live.scorers.answer = UsageError("keywords: the model reads none")
    heard = hold(live, start={"keywords": ["parcel"]})
    assert [message["type"] for message in heard.messages] == ["error"]
    assert (heard.last["status"], heard.last["error"]["param"]) == (400, "keywords")
    assert heard.close_code == 4400


def test_models_that_cannot_be_asked_what_they_heed_cost_no_call(live: Endpoint) -> None:
    live.scorers.answer = ScorersUnavailableError("died")

    async def come_back() -> Any:
        held = asyncio.create_task(call(live.address, demo_call(), {"keywords": ["parcel"]}))
        await until(lambda: live.scorers.num_asked >= 2)
        live.scorers.__init__()  # type: ignore[misc]
        return await held

    assert asyncio.run(come_back()).last["type"] == "final"


def test_a_bug_is_told_without_its_words(live: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    live.scorers.answer = ZeroDivisionError("a secret of ours")
    heard = hold(live)
    assert (heard.last["status"], heard.last["error"]["code"]) == (500, "internal")
    assert "secret" not in json.dumps(heard.messages) + caplog.text
    assert Path(__file__).stem not in json.dumps(heard.messages)


def test_scorers_that_come_back_go_on_with_the_call(live: Endpoint) -> None:
    live.scorers.answer = ScorersUnavailableError("died")

    async def come_back() -> Any:
        held = asyncio.create_task(call(live.address, demo_call()))
        await until(lambda: live.scorers.num_asked)
        live.scorers.__init__()  # type: ignore[misc]
        return await held

    assert asyncio.run(come_back()).last["type"] == "final"


class Forgetful(CheapScorers):
    """Scorers that cannot say what they are for a while, though they score."""

    num_silent = 1

    async def served(self) -> Served:
        if self.num_silent:
            self.num_silent -= 1
            raise ScorersUnavailableError("busy")
        return await super().served()


def test_models_that_do_not_say_at_once_what_they_are_cost_no_call(tmp_path: Path) -> None:
    with endpoint(tmp_path, Forgetful()) as one:
        assert hold(one).last["type"] == "final"


def test_models_that_never_say_what_they_are_end_the_call_with_503(tmp_path: Path) -> None:
    scorers = Forgetful()
    scorers.num_silent = 1_000
    with endpoint(tmp_path, scorers, request_timeout_s=0.5) as one:
        heard = hold(one)
    assert (heard.last["status"], heard.last["error"]["code"]) == (503, "models_unavailable")
