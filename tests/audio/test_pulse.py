"""Heartbeats of the decoding child."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mmer_ray.audio import pulse
from mmer_ray.audio.pulse import BEAT_S, Pulse


def test_a_child_that_talks_to_its_parent_all_the_time_still_says_what_it_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = 0.0
    monkeypatch.setattr(pulse, "time", SimpleNamespace(monotonic=lambda: now_s, process_time=lambda: 0.0))
    # The limits would be those of the test's own process.
    monkeypatch.setattr(Pulse, "_move_limits", lambda self: None)
    beats: list[tuple[float, float]] = []
    beating = Pulse(30.0, lambda decoded_s, waited_s: beats.append((decoded_s, waited_s)))
    for quarter in range(1, 21):
        now_s = quarter * BEAT_S / 4
        beating.decoded_s, beating.waited_s = 7.0 * quarter, 0.5 * quarter
        beating.rest()
        beating.resume()
        beating()
    assert beats == [(28.0 * second, 2.0 * second) for second in range(1, 6)]
