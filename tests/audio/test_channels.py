"""One voice on two channels is one party; two parties keep their channels, without each other's words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from mmer_ray.audio.channels import ChannelPlan, Track
from mmer_ray.errors import Flag
from mmer_ray.records import SAMPLE_RATE_HZ, Samples
from tests.bad_audio.signals import int16, voice

Sound = NDArray[np.float64]
RNG = np.random.default_rng(5)


def hum(duration_s: float, num_channels: int = 1, seed: int = 0) -> Samples:
    shape = (num_channels, int(duration_s * SAMPLE_RATE_HZ))
    return np.random.default_rng(seed).integers(-3000, 3000, shape).astype(np.int16)


def in_turns(pitch_hz: float, *spans_s: tuple[float, float], duration_s: float = 24.0) -> Sound:
    """One voice that speaks in these spans only."""
    said = np.zeros(round(duration_s * SAMPLE_RATE_HZ))
    for start_s, end_s in spans_s:
        begin, end = round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ)
        said[begin:end] = voice(end_s - start_s, pitch_hz=pitch_hz)[: end - begin]
    return said


AGENT = in_turns(125.0, (1, 5), (9, 12), (17, 20))
CUSTOMER = in_turns(190.0, (5.5, 8.5), (11, 16), (20.5, 23))
HISS = 10 ** (-55 / 20) * 0.1
MONOLOGUE = AGENT + in_turns(190.0, (5.5, 8.5), (13, 16), (20.5, 23))


def late(sound: Sound, delay_s: float) -> Sound:
    num_samples = round(delay_s * SAMPLE_RATE_HZ)
    return np.concatenate([np.zeros(num_samples), sound[: len(sound) - num_samples]])


def noisy(sound: Sound, seed: int, level: float = HISS) -> Sound:
    return sound + np.random.default_rng(seed).normal(0, level, len(sound))


def tracks_of(plan: ChannelPlan, first: Samples, second: Samples) -> list[Track]:
    return list(plan.tracks(np.concatenate([first.reshape(1, -1), second.reshape(1, -1)])))


def split(first: Sound, second: Sound) -> list[Track]:
    return tracks_of(ChannelPlan(2), int16(first), int16(second))


def power_db(samples: Samples, start_s: float, end_s: float) -> float:
    part = samples[round(start_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)].astype(np.float64)
    return float(10 * np.log10(np.mean(part**2) + 1e-3))


COPIES: dict[str, Callable[[Sound], tuple[Sound, Sound]]] = {
    "equal": lambda said: (said, said),
    "0.5 ms late": lambda said: (said, late(said, 0.0005)),
    "5 ms late": lambda said: (said, late(said, 0.005)),
    "20 ms late": lambda said: (said, late(said, 0.02)),
    "80 ms late": lambda said: (said, late(said, 0.08)),
    "20 ms early": lambda said: (late(said, 0.02), said),
    "half as loud": lambda said: (said, 0.5 * said),
    "a tenth as loud": lambda said: (said, 0.1 * said),
    "each with noise": lambda said: (noisy(said, 1, 0.02), noisy(said, 2, 0.02)),
    "a room": lambda said: (said, 0.6 * late(said, 0.001) + 0.4 * late(said, 0.007) + 0.2 * late(said, 0.019)),
    "late, quiet and noisy": lambda said: (noisy(said, 1), noisy(0.3 * late(said, 0.011), 2)),
    "on an offset": lambda said: (said, 0.5 * said + 0.3),
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("said", [AGENT, MONOLOGUE], ids=["one voice", "two voices"])
def test_one_sound_on_two_channels_is_one_party_told_once(
    copy: Callable[[Sound], tuple[Sound, Sound]], said: Sound
) -> None:
    first, second = copy(said)
    (track,) = split(first, second)
    assert not track.one_speaker
    assert track.channel == 0
    assert np.array_equal(track.samples, int16(first))


def test_the_louder_copy_is_taken_when_it_is_much_louder() -> None:
    (track,) = split(0.1 * AGENT, AGENT)
    assert track.channel == 1


@pytest.mark.parametrize("delay_s", [0.0, 0.002])
def test_a_copy_of_opposite_sign_is_flagged(delay_s: float) -> None:
    plan = ChannelPlan(2)
    (track,) = tracks_of(plan, int16(MONOLOGUE), int16(-late(MONOLOGUE, delay_s)))
    assert not track.one_speaker
    assert plan.flags == {Flag.ANTIPHASE}


@pytest.mark.parametrize("leak_db", [10, 20, 30, None])
@pytest.mark.parametrize("customer_gain", [1.0, 0.5])
def test_what_leaks_into_the_others_channel_is_silenced_and_own_words_stay(
    leak_db: float | None, customer_gain: float
) -> None:
    customer, gain = customer_gain * CUSTOMER, 0.0 if leak_db is None else 10 ** (-leak_db / 20)
    tracks = split(noisy(AGENT + gain * customer, 1), noisy(customer + gain * AGENT, 2))
    assert [(track.channel, track.one_speaker) for track in tracks] == [(0, True), (1, True)]
    first, second = (track.samples for track in tracks)
    own_db = power_db(int16(AGENT), 2, 4), power_db(int16(customer), 6, 8)
    # Alone, each party is on its own channel as it was, and 40 dB down or silent on the other.
    assert power_db(first, 2, 4) == pytest.approx(own_db[0], abs=0.5)
    assert power_db(second, 6, 8) == pytest.approx(own_db[1], abs=0.5)
    assert power_db(first, 6, 8) < own_db[1] - 40 or leak_db == 30
    assert power_db(second, 2, 4) < own_db[0] - 40
    # Where both speak at once, both are kept.
    assert power_db(first, 11.1, 11.9) == pytest.approx(power_db(int16(AGENT), 11.1, 11.9), abs=1.5)
    assert power_db(second, 11.1, 11.9) == pytest.approx(power_db(int16(customer), 11.1, 11.9), abs=1.5)


def test_channels_of_two_parties_without_leak_pass_bit_by_bit() -> None:
    tracks = split(noisy(AGENT, 1), noisy(CUSTOMER, 2))
    assert np.array_equal(tracks[0].samples, int16(noisy(AGENT, 1)))
    assert np.array_equal(tracks[1].samples, int16(noisy(CUSTOMER, 2)))


def test_a_party_40_db_down_keeps_its_channel() -> None:
    tracks = split(noisy(AGENT, 1), 0.01 * noisy(CUSTOMER, 2))
    assert [track.one_speaker for track in tracks] == [True, True]
    assert np.array_equal(tracks[1].samples, int16(0.01 * noisy(CUSTOMER, 2)))


def test_voices_that_always_speak_at_once_are_two_parties() -> None:
    plan = ChannelPlan(2)
    tracks = tracks_of(plan, hum(2), hum(2, seed=1))
    assert [(track.channel, track.one_speaker) for track in tracks] == [(0, True), (1, True)]
    assert plan.flags == set()


def test_two_parties_stay_two_in_a_window_where_one_is_silent() -> None:
    plan, gain = ChannelPlan(2), 0.1
    window = 8 * SAMPLE_RATE_HZ
    first, second = int16(noisy(AGENT + gain * CUSTOMER, 1)), int16(noisy(CUSTOMER + gain * AGENT, 2))
    assert len(tracks_of(plan, first, second)) == 2
    agent_alone = tracks_of(plan, first[: window // 2], second[: window // 2])
    assert [track.channel for track in agent_alone] == [0, 1]
    assert power_db(agent_alone[1].samples, 2, 3.5) < power_db(second, 2, 3.5) - 20


def test_a_second_party_that_comes_later_gets_its_channel() -> None:
    plan, gain = ChannelPlan(2), 0.1
    first, second = int16(noisy(AGENT + gain * CUSTOMER, 1)), int16(noisy(CUSTOMER + gain * AGENT, 2))
    border = 5 * SAMPLE_RATE_HZ
    assert len(tracks_of(plan, first[:border], second[:border])) == 1
    assert len(tracks_of(plan, first[border:], second[border:])) == 2


def test_silence_decides_nothing_and_the_first_sound_does() -> None:
    plan = ChannelPlan(2)
    (silent,) = tracks_of(plan, 0 * hum(2), 0 * hum(2))
    assert not silent.one_speaker
    assert len(tracks_of(plan, hum(2), hum(2, seed=1))) == 2
    assert len(tracks_of(plan, hum(2), 0 * hum(2))) == 2


def test_the_live_channel_is_taken_when_the_other_is_dead() -> None:
    for channel, pair in enumerate([(hum(2), 0 * hum(2)), (0 * hum(2), hum(2))]):
        plan = ChannelPlan(2)
        (track,) = tracks_of(plan, *pair)
        assert (track.channel, track.one_speaker) == (channel, False)
        assert plan.flags == {Flag.DEAD_CHANNEL}


def test_a_party_that_wakes_on_a_dead_channel_is_heard_on_it() -> None:
    plan = ChannelPlan(2)
    tracks_of(plan, hum(2), 0 * hum(2))
    tracks = tracks_of(plan, 0 * hum(2), hum(2, seed=1))
    assert any(np.array_equal(track.samples, hum(2, seed=1)[0]) for track in tracks)


def test_a_recording_of_one_channel_passes() -> None:
    (track,) = ChannelPlan(1).tracks(hum(2))
    assert (track.channel, track.one_speaker) == (0, False)


@pytest.mark.parametrize("num_samples", [0, 1, 100, 319, 5_000])
def test_scraps_are_handed_on_in_some_form(num_samples: int) -> None:
    tracks = tracks_of(ChannelPlan(2), hum(1)[:, :num_samples], hum(1, seed=1)[:, :num_samples])
    assert tracks
    assert all(len(track.samples) == num_samples for track in tracks)
