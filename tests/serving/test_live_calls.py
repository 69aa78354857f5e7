"""Live calls over real WebSockets. The end of speech is found by the real network; what scores it is cheap."""

from __future__ import annotations

import asyncio
import errno
import json
import threading
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from mmer_ray.errors import ErrorCode, UsageError
from mmer_ray.profiles import Profile, load_profile
from mmer_ray.records import SAMPLE_RATE_HZ, Emotion, Expected, ScoredRecording, SpeakerTurn, Word
from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.admission import Admission
from mmer_ray.serving.api_errors import no_room
from mmer_ray.serving.ended import Ended
from mmer_ray.serving.interface import ScorersUnavailableError, Served
from mmer_ray.serving.live_route import SocketClient, live_router
from mmer_ray.serving.live_sound import LiveSound
from tests.serving.call_sounds import demo_call, wav
from tests.serving.cheap_scorers import UTTERANCES, CheapScorers, failed
from tests.serving.http_server import serving
from tests.serving.live_client import PATH, call


class Places(Admission):
    """Admission that notes what it is asked for, and refuses as often as it is told to."""

    def __init__(self, options: ServeOptions | None = None) -> None:
        super().__init__(options or ServeOptions())
        self.num_refused = 0
        self.most_held = 0
        self.seconds: list[float] = []

    @asynccontextmanager
    async def place_in_call(self, key: str, seconds: float, *, is_all: bool = False) -> Any:
        assert key == "somebody"
        if self.num_refused:
            self.num_refused -= 1
            raise no_room("busy", "no room", 1)
        self.seconds.append(seconds)
        async with super().place_in_call(key, seconds, is_all=is_all):
            self.most_held = max(self.most_held, self.in_flight)
            yield


@dataclass
class Endpoint:
    """A server of live calls, and what stands behind it."""

    profile: Profile
    scorers: CheapScorers = field(default_factory=CheapScorers)
    admission: Places = field(default_factory=Places)
    ended: list[Ended] = field(default_factory=list)
    address: str = ""

    @property
    def options(self) -> ServeOptions:
        return self.profile.serve


class Named:
    """Middleware: every caller has a name, as behind `Access`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {}).update({"key": "somebody", "request_id": "req-1"})
        await self._app(scope, receive, send)


def document(scored: ScoredRecording, served: Served) -> dict[str, Any]:
    return {"profile": served.profile, "utterances": [one.text for one in scored.utterances]}


@contextmanager
def endpoint(state: Path, scorers: CheapScorers | None = None, **options: Any) -> Iterator[Endpoint]:
    profile = load_profile("synthetic")
    serve = profile.serve.model_copy(update={"state": str(state), "retry_after_s": 1, **options})
    one = Endpoint(profile.model_copy(update={"serve": serve}), scorers or CheapScorers(), Places(serve))
    app = FastAPI()
    app.include_router(live_router(one, document, [one.ended.append]))
    with serving(Named(app)) as address:
        one.address = address
        yield one


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with endpoint(tmp_path_factory.mktemp("state")) as one:
        yield one


@pytest.fixture
def live(shared: Endpoint) -> Endpoint:
    shared.scorers.__init__()  # type: ignore[misc]
    shared.admission.__init__()  # type: ignore[misc]
    shared.ended.clear()
    return shared


def hold(live: Endpoint, samples: np.ndarray | None = None, start: Any = None, **how: Any) -> Any:
    return asyncio.run(call(live.address, demo_call() if samples is None else samples, start, **how))


async def until(holds: Any) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def test_utterances_come_as_they_are_finished_and_the_analysis_at_the_end(live: Endpoint) -> None:
    heard = hold(live)
    assert heard.messages[0] == {"type": "ready", "request_id": "req-1"}
    assert heard.last == {"type": "final", "ended_by": "end", "analysis": document(_scored(), _served())}
    assert heard.close_code == 1000
    utterances = heard.of("utterance")
    assert [one["number"] for one in utterances] == list(range(1, len(utterances) + 1))
    assert len(utterances) >= 4
    first = utterances[0]
    assert first["is_provisional"] is True
    assert first["text"] == "good morning"
    assert first["emotion"]["label"] == "happy"
    assert first["words"][0] == {
        "word": "good", "start_s": first["start_s"], "end_s": first["words"][1]["start_s"], "p": 0.9,
    }  # fmt: skip
    assert heard.of("progress")[-1]["received_s"] == pytest.approx(20.0, abs=1.0)


def test_what_is_scored_at_the_end_is_the_wav_file_of_all_that_was_sent(live: Endpoint) -> None:
    samples = demo_call()
    hold(live, samples, {"languages": ["en"], "keywords": ["parcel"], "prompt": "hello"})
    *stretches, whole = sorted(live.scorers.asked, key=lambda asked: len(asked.sound))
    assert whole.sound == wav(samples)
    assert not whole.is_job
    assert {asked.expected for asked in live.scorers.asked} == {Expected(("en",), ("parcel",), "hello")}
    # Each stretch is one party's channel alone.
    channels = [bytes(samples[:, channel]) for channel in (0, 1)]
    for asked in stretches:
        assert any(asked.sound[44:] in channel for channel in channels)


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
def test_other_rates_are_listened_to_and_handed_on_as_they_are(live: Endpoint, rate_hz: int) -> None:
    from scipy.signal import resample_poly

    samples = np.rint(resample_poly(demo_call().astype(np.float64), rate_hz, SAMPLE_RATE_HZ)).astype(np.int16)
    at_16_khz = [one["start_s"] for one in hold(live).of("utterance")]
    live.scorers.asked.clear()
    heard = hold(live, samples, {"sample_rate": rate_hz})
    assert [one["start_s"] for one in heard.of("utterance")] == pytest.approx(at_16_khz, abs=0.15)
    assert max((asked.sound for asked in live.scorers.asked), key=len) == wav(samples, rate_hz)


def test_the_same_voice_on_both_channels_is_heard_once_where_it_is_louder(live: Endpoint) -> None:
    one = demo_call()[:, :1]

    def heard(samples: np.ndarray) -> list[tuple[float, int]]:
        return [(told["start_s"], told["channel"]) for told in hold(live, samples).of("utterance")]

    alone = heard(one)
    assert heard(np.hstack([one, one])) == alone
    assert heard(np.hstack([one, one // 4])) == alone
    assert heard(np.hstack([one // 4, one])) == [(start_s, 1) for start_s, _ in alone]


def test_an_utterance_comes_while_the_call_goes_on(live: Endpoint) -> None:
    heard = hold(live, demo_call(num_s=12), speed=4.0)
    first = next(
        at_s for at_s, message in zip(heard.at_s, heard.messages, strict=True) if message["type"] == "utterance"
    )
    assert first < heard.at_s[-1] - 0.5


def test_what_is_told_of_a_call_is_how_it_ended_and_how_much_was_heard(live: Endpoint) -> None:
    hold(live)
    hold(live, np.zeros((0, 1), dtype=np.int16))
    good, empty = live.ended
    assert (good.status, good.code, good.key, good.route, good.request_id) == (200, None, "somebody", PATH, "req-1")
    assert (good.audio_s, good.body_bytes) == (pytest.approx(20.0), 20 * 16_000 * 4)
    assert (empty.status, empty.code, empty.audio_s) == (422, "no_samples", 0.0)


def test_models_that_are_busy_for_long_are_told_as_skipped_stretches(
    live: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmer_ray.serving.live_call.MAX_WAITING", 1)
    monkeypatch.setattr("mmer_ray.serving.live_call.MAX_PAUSE_S", 0.01)
    live.scorers.delay_s = 1.0
    heard = hold(live)
    skipped = heard.of("skipped")
    assert len(skipped) >= 1
    assert skipped[0]["end_s"] > skipped[0]["start_s"]
    assert heard.last["type"] == "final"


def test_no_call_begins_while_the_endpoint_stops(live: Endpoint) -> None:
    live.admission.drain()
    heard = hold(live)
    assert (heard.last["status"], heard.last["error"]["code"]) == (503, "stopping")


def test_a_call_that_is_held_goes_on_while_the_endpoint_stops(live: Endpoint) -> None:
    heard = asyncio.run(drained_during(live))
    assert (heard.last["type"], heard.last["ended_by"]) == ("final", "end")
    assert max(live.admission.seconds) == pytest.approx(12.0)


def test_a_call_without_an_end_is_ended_and_analysed_before_the_endpoint_stops(tmp_path: Path) -> None:
    with endpoint(tmp_path, drain_s=0.2) as live:
        heard = asyncio.run(drained_during(live))
    assert (heard.last["type"], heard.last["ended_by"]) == ("final", "drain_s")
    assert 0 < max(live.admission.seconds) < 12.0


async def drained_during(live: Endpoint) -> Any:
    """A call of 12 s, eight times as fast as people speak; draining begins behind its first stretch."""
    held = asyncio.create_task(call(live.address, demo_call(num_s=12), speed=8.0))
    await until(lambda: live.scorers.num_answered)
    live.admission.drain()
    return await held


def test_only_what_is_being_scored_has_a_place(live: Endpoint) -> None:
    live.scorers.delay_s = 0.05
    hold(live)
    assert live.admission.most_held <= 2
    assert live.admission.in_flight == 0
    assert max(live.admission.seconds) == pytest.approx(20.0)


def test_a_stretch_waits_for_room(live: Endpoint) -> None:
    live.admission.num_refused = 2
    assert hold(live).last["type"] == "final"


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


def test_each_stretch_is_asked_about_with_the_voices_before_it(live: Endpoint) -> None:
    live.scorers.answer = replace(_scored(), turns=(SpeakerTurn(0.1, 2.6, 0, "S1"),))
    heard = hold(live, demo_call("call_02_mono", num_s=30))
    *stretches, _ = live.scorers.asked
    assert [len(asked.known_speakers) for asked in stretches][:2] == [0, 1]
    assert stretches[1].known_speakers[0].sound[44:] in stretches[0].sound
    assert {one["speaker"] for one in heard.of("utterance")} == {"S1", None}


def test_a_voice_that_cannot_be_used_is_forgotten(live: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    live.scorers.answer = replace(_scored(), turns=(SpeakerTurn(0.1, 2.6, 0, "S1"),))
    score = live.scorers.score

    async def refusing(asked: Any) -> ScoredRecording:
        if asked.known_speakers:
            raise UsageError("known_speaker_references: nobody speaks in the sound of 'S1'")
        return await score(asked)

    monkeypatch.setattr(live.scorers, "score", refusing)
    heard = hold(live, demo_call("call_02_mono", num_s=30))
    assert len(heard.of("utterance")) >= 4
    assert heard.last["type"] == "final"


def test_what_is_no_number_is_null(live: Endpoint) -> None:
    emotion = Emotion("cheap", "happy", {"happy": float("nan")}, float("nan"), valence=float("inf"))
    one = replace(UTTERANCES[0], emotions=(emotion,), words=(Word("good", None, None, float("nan")),))
    live.scorers.answer = replace(_scored(), utterances=(one,))
    told = hold(live).of("utterance")[0]
    assert (told["emotion"]["confidence"], told["emotion"]["valence"]) == (None, None)
    assert told["words"] == [{"word": "good", "start_s": None, "end_s": None, "p": None}]


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
    assert "test_live_calls" not in json.dumps(heard.messages)


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


class SlowSocket:
    """A WebSocket whose message is sent when the test says so."""

    def __init__(self) -> None:
        self.scope: dict[str, Any] = {"state": {}}
        self.sent = asyncio.get_running_loop().create_future()

    async def send_text(self, text: str) -> None:
        await self.sent


def test_a_call_given_up_as_a_message_goes_out_does_not_go_on() -> None:
    async def given_up() -> bool:
        socket = SlowSocket()
        sending = asyncio.create_task(SocketClient(cast(WebSocket, socket), 10.0).send({"type": "progress"}))
        await asyncio.sleep(0.01)
        socket.sent.set_result(None)
        sending.cancel()
        await asyncio.wait([sending])
        return sending.cancelled()

    # On Python 3.11 `asyncio.wait_for` returned as if nobody had cancelled, and what cancelled waited for ever.
    assert asyncio.run(given_up())


def test_a_disk_that_is_full_is_no_bug(live: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: LiveSound, pcm: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LiveSound, "add", full)
    heard = hold(live)
    assert (heard.last["status"], heard.last["error"]["code"]) == (503, "no_space")


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


def test_calls_beside_each_other_do_not_mix_and_are_listened_to_away_from_the_loop(
    live: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = set()
    for name in ("__init__", "add", "cut", "finish", "whole", "close"):
        monkeypatch.setattr(LiveSound, name, _noting(getattr(LiveSound, name), threads))

    async def many() -> list[Any]:
        calls = [call(live.address, demo_call(name), speed=5.0) for name in ("call_01_stereo", "call_02_mono") * 4]
        return list(await asyncio.gather(*calls))

    heard = asyncio.run(many())
    starts = [[one["start_s"] for one in each.of("utterance")] for each in heard]
    assert starts[0::2] == [starts[0]] * 4
    assert starts[1::2] == [starts[1]] * 4
    assert starts[0] != starts[1]
    assert {name.partition("_")[0] for name in threads} == {"listening"}


def _noting(work: Any, threads: set[str]) -> Any:
    def noted(*given: Any, **named: Any) -> Any:
        threads.add(threading.current_thread().name)
        return work(*given, **named)

    return noted


def _scored() -> ScoredRecording:
    from tests.serving.cheap_scorers import SCORED

    return replace(SCORED, utterances=UTTERANCES)


def _served() -> Served:
    from tests.serving.cheap_scorers import SERVED

    return SERVED
