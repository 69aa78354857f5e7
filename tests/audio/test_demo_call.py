"""Two spoken parties of the demo that are heard in each other's channel: speech is found on its own channel only."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from mmer_ray.audio.channels import ChannelPlan
from mmer_ray.audio.level import levelled
from mmer_ray.audio.vad import SileroVad
from mmer_ray.demo.truth import CALLS, read_truth
from mmer_ray.profiles import VadOptions
from mmer_ray.records import SAMPLE_RATE_HZ, Samples

CALL = "call_19_stereo.opus"
EDGE_S = 0.4
"""Padding of the detector, and the ends of words."""


@pytest.fixture(scope="module")
def vad() -> SileroVad:
    return SileroVad(VadOptions())


@pytest.fixture(scope="module")
def call() -> np.ndarray:
    return read(CALL)


def read(name: str) -> np.ndarray:
    """Shape (2, num_samples), in int16 steps."""
    with av.open(str(Path(CALLS) / name)) as container:
        resampler = av.AudioResampler("s16p", rate=SAMPLE_RATE_HZ)
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray() for frame in frames], axis=1).astype(np.float64)


def marked(spans: list[tuple[float, float]], edge_s: float = 0.0) -> np.ndarray:
    """Hundredths of a second of the call that lie in the spans."""
    hundredths = np.zeros(3_200, dtype=bool)
    for start_s, end_s in spans:
        hundredths[max(0, round(100 * (start_s - edge_s))) : round(100 * (end_s + edge_s))] = True
    return hundredths


def heard(vad: SileroVad, channels: np.ndarray) -> list[np.ndarray]:
    samples: Samples = np.clip(np.rint(channels), -32768, 32767).astype(np.int16)
    tracks = list(ChannelPlan(2).tracks(samples))
    assert [(track.channel, track.one_speaker) for track in tracks] == [(0, True), (1, True)]
    return [marked(vad.regions(levelled(track.samples).samples)) for track in tracks]


@pytest.mark.parametrize(
    ("leak_db", "second_gain"),
    [(10, 1.0), (15, 1.0), (20, 1.0), (30, 1.0), (40, 1.0), (200, 1.0), (200, 0.01)],
    ids=["10 dB", "15 dB", "20 dB", "30 dB", "40 dB", "no leak", "one party 40 dB down"],
)
def test_each_partys_speech_is_found_once(vad: SileroVad, call: np.ndarray, leak_db: float, second_gain: float) -> None:
    (truth,) = [one for one in read_truth() if one.file == CALL]
    gain = 10 ** (-leak_db / 20)
    first, second = call[0] + gain * call[1], second_gain * (call[1] + gain * call[0])
    for channel, found in enumerate(heard(vad, np.stack([first, second]))):
        turns = [(turn.start_s, turn.end_s) for turn in truth.turns if turn.channel == channel]
        others = [(turn.start_s, turn.end_s) for turn in truth.turns if turn.channel != channel]
        own = marked(turns)
        assert (found & own).sum() / own.sum() > 0.8
        elsewhere = marked(others) & ~marked(turns, EDGE_S)
        assert (found & elsewhere).sum() / elsewhere.sum() < 0.05


def test_two_microphones_on_one_call_are_one_party(call: np.ndarray) -> None:
    mono = call.sum(axis=0)
    echo = np.concatenate([np.zeros(160), mono[:-160]])
    both = np.stack([mono, 0.5 * mono + 0.3 * echo])
    (track,) = ChannelPlan(2).tracks(np.clip(both, -32768, 32767).astype(np.int16))
    assert not track.one_speaker


@pytest.mark.parametrize("name", ["call_01_stereo.opus", "call_13_stereo.opus", CALL], ids=["clean", "noise", "line"])
def test_a_call_whose_channels_do_not_leak_passes_bit_by_bit(name: str) -> None:
    samples = read(name).astype(np.int16)
    tracks = list(ChannelPlan(2).tracks(samples))
    assert [track.one_speaker for track in tracks] == [True, True]
    assert all(np.array_equal(track.samples, samples[track.channel]) for track in tracks)
