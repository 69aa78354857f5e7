"""Voices that are asked about again."""

from __future__ import annotations

import numpy as np

from mmer_ray.serving.recent_voices import MAX_VOICES, RecentVoices


def test_a_voice_is_known_by_the_bytes_of_its_sound() -> None:
    recent = RecentVoices()
    voice = np.ones(4, dtype=np.float32)
    recent.keep(b"one", voice)
    assert recent.get(b"one") is voice
    assert recent.get(b"another") is None


def test_those_that_nobody_asks_about_are_forgotten_first() -> None:
    recent = RecentVoices()
    for number in range(MAX_VOICES):
        recent.keep(str(number).encode(), np.zeros(1, dtype=np.float32))
    assert recent.get(b"0") is not None
    recent.keep(b"new", np.zeros(1, dtype=np.float32))
    assert recent.get(b"0") is not None
    assert recent.get(b"1") is None
