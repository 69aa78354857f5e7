"""Flags that are measured on the samples."""

from __future__ import annotations

import numpy as np

from mmer_ray.audio.quality import Quality
from mmer_ray.errors import Flag
from mmer_ray.records import SAMPLE_RATE_HZ, Samples
from tests.bad_audio.signals import int16, voice


def flags_of(*windows: Samples) -> set[Flag]:
    quality = Quality(len(windows[0]))
    for window in windows:
        quality.update(window)
    return quality.flags()


def speech() -> Samples:
    return int16(voice())[None, :]


def zeros(duration_s: float) -> Samples:
    return np.zeros((1, int(duration_s * SAMPLE_RATE_HZ)), dtype=np.int16)


def test_clean_speech_has_no_flags() -> None:
    assert flags_of(speech()) == set()


def test_a_dropout_is_found_across_windows() -> None:
    assert flags_of(np.concatenate([speech(), zeros(0.2)], axis=1), zeros(0.2), speech()) == {Flag.DROPOUT}


def test_zeros_at_the_end_or_behind_a_fade_are_no_dropout() -> None:
    fade = (speech() * np.linspace(1, 0, speech().shape[1])).astype(np.int16)
    assert flags_of(speech(), zeros(2)) == set()
    assert flags_of(fade, zeros(2), speech()) == set()


def test_a_gap_shorter_than_a_dropout_is_none() -> None:
    assert flags_of(speech(), zeros(0.25), speech()) == set()


def test_a_few_samples_at_full_scale_are_not_clipping() -> None:
    loud = speech().copy()
    loud[0, 1000:1010] = 32767
    assert flags_of(loud) == set()
    assert flags_of(np.clip(speech().astype(np.int32) * 8, -32768, 32767).astype(np.int16)) == {Flag.CLIPPED}


def test_clipped_speech_between_long_silences_is_still_clipped() -> None:
    clipped = np.clip(speech().astype(np.int32) * 8, -32768, 32767).astype(np.int16)
    assert flags_of(zeros(300), clipped, zeros(300)) == {Flag.CLIPPED}


def test_the_smallest_sample_is_full_scale_and_not_its_own_negative() -> None:
    low = np.full((1, SAMPLE_RATE_HZ), -32768, dtype=np.int16)
    assert flags_of(low) == {Flag.CLIPPED, Flag.DC_OFFSET}
