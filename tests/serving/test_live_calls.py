"""Live calls over real WebSockets. The end of speech is found by the real network; what scores it is cheap."""

from __future__ import annotations

import asyncio
import errno
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from starlette.websockets import WebSocket

from mmer_ray.errors import UsageError
from mmer_ray.records import SAMPLE_RATE_HZ, Emotion, Expected, ScoredRecording, SpeakerTurn, Word
from mmer_ray.serving.interface import Served
from mmer_ray.serving.live_route import SocketClient
from mmer_ray.serving.live_sound import LiveSound
from tests.serving.call_sounds import demo_call, wav
from tests.serving.cheap_scorers import UTTERANCES
from tests.serving.live_client import PATH, call
from tests.serving.live_endpoint import Endpoint, document, endpoint, hold, until


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
