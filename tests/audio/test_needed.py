"""What is still needed of a recording: windows with clips, equal to those of a whole decode, and the whole digest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from mmer_ray.audio.decode import Decoder
from mmer_ray.audio.needed import Needed, SoundRange, needed_ranges
from mmer_ray.profiles import DecodeOptions
from mmer_ray.records import SAMPLE_RATE_HZ, AudioFacts, Recording, Window

RATE_HZ = SAMPLE_RATE_HZ
LENGTH_S = 75
RANGES = st.lists(st.tuples(st.integers(0, 1), st.integers(-2_000, 500_000), st.integers(1, 400_000)), max_size=8)


def seconds(channel: int, begin_s: float, end_s: float) -> SoundRange:
    return channel, round(begin_s * RATE_HZ), round(end_s * RATE_HZ)


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(DecodeOptions(window_s=20)) as decoder:
        yield decoder


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Two parties in turn, one a channel, quietly after half of it, with an offset: levels differ by window."""
    chance = np.random.default_rng(5)
    at = np.arange(LENGTH_S * RATE_HZ) / RATE_HZ
    level = np.where(at < LENGTH_S / 2, 0.2, 0.002) * (0.05 + (np.sin(2 * np.pi * at / 1.7) > 0))
    parties = [level * (np.floor(at / 5) % 2 == party) for party in (0, 1)]
    sound = np.stack([party * chance.normal(0, 0.3, len(at)) + 0.01 for party in parties], axis=1)
    path = tmp_path_factory.mktemp("call") / "call.flac"
    soundfile.write(path, sound, RATE_HZ)
    return Recording(uri=str(path), root=str(path.parent))


def decoded(
    decoder: Decoder, call: Recording, needed: list[SoundRange] | None = None
) -> tuple[list[Window], AudioFacts]:
    *windows, facts = decoder.decode(call, needed)
    assert isinstance(facts, AudioFacts)
    return [one for one in windows if isinstance(one, Window)], facts


@pytest.mark.parametrize(
    "needed",
    [
        [seconds(0, 1, 3)],
        [seconds(1, -0.1, 2), seconds(1, 44, 47)],
        [seconds(0, 70, 75.1)],
        [seconds(0, 18, 23), seconds(1, 30, 31)],
        [seconds(0, 0, 75), seconds(1, 0, 75)],
    ],
    ids=["first", "apart", "last", "over_a_border", "all"],
)
def test_the_windows_that_are_needed_are_those_of_a_whole_decode(
    needed: list[SoundRange], decoder: Decoder, call: Recording
) -> None:
    whole, facts = decoded(decoder, call)
    assert len(whole) >= 8, "windows of two channels"
    found, some_facts = decoded(decoder, call, needed)
    wanted = [
        window
        for window in whole
        if any(
            channel == window.channel and begin < window.end_s * RATE_HZ and end > window.start_s * RATE_HZ
            for channel, begin, end in needed
        )
    ]
    assert [(one.index, one.channel, one.start_s, one.end_s) for one in found] == [
        (one.index, one.channel, one.start_s, one.end_s) for one in wanted
    ]
    for ours, theirs in zip(found, wanted, strict=True):
        assert np.array_equal(ours.samples, theirs.samples)
    assert some_facts.content_digest == facts.content_digest


def test_a_file_that_changed_behind_the_last_clip_has_another_digest(decoder: Decoder, call: Recording) -> None:
    _, before = decoded(decoder, call, [seconds(0, 1, 3)])
    path = Path(call.uri)
    content = path.read_bytes()
    try:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        _, after = decoded(decoder, call, [seconds(0, 1, 3)])
    finally:
        path.write_bytes(content)
    assert after.content_digest != before.content_digest


@given(clips=RANGES, begin=st.integers(0, 600_000), size=st.integers(1, 320_000))
def test_no_clip_is_left_out(clips: list[tuple[int, int, int]], begin: int, size: int) -> None:
    ranges = [(channel, first, first + length) for channel, first, length in clips]
    needed = Needed(needed_ranges(ranges))
    for channel in (0, 1):
        is_touched = any(one == channel and first < begin + size and end > begin for one, first, end in ranges)
        assert needed.touches(channel, begin, begin + size) or not is_touched
    assert needed.end_sample >= max((end for _, _, end in ranges), default=0)


def test_ranges_that_are_far_apart_stay_apart() -> None:
    assert needed_ranges([seconds(0, 0, 1), seconds(0, 50, 51), seconds(0, 5, 9), seconds(1, 3, 4)]) == [
        seconds(0, 0, 9),
        seconds(0, 50, 51),
        seconds(1, 3, 4),
    ]
    assert not Needed([seconds(0, 0, 9), seconds(0, 50, 51)]).touches(0, 10 * RATE_HZ, 49 * RATE_HZ)
