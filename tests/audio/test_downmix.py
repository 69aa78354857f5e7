"""More than two channels: nothing cancels."""

from __future__ import annotations

import numpy as np
import pytest

from mmer_ray.audio.downmix import Downmix
from tests.bad_audio.signals import voice

M, OTHER = voice(), voice(pitch_hz=190.0)
ZERO = 0 * M


def mixed(*channels: np.ndarray) -> tuple[np.ndarray, Downmix]:
    downmix, block = Downmix(len(channels)), np.stack(channels, axis=1)
    return np.concatenate([downmix(part) for part in np.array_split(block, 3)]), downmix


@pytest.mark.parametrize(
    ("channels", "gain", "has_turned"),
    [
        ((M, -M, ZERO), 2 / 3, True),
        ((M, -M, M, -M), 1.0, True),
        ((ZERO, M, -0.5 * M), 0.5, True),
        ((M, M, M), 1.0, False),
        ((M, ZERO, ZERO), 1 / 3, False),
    ],
    ids=["one of three", "two of four", "behind a silent one", "all alike", "one alone"],
)
def test_one_voice_is_whole_whatever_the_signs_of_its_channels(
    channels: tuple[np.ndarray, ...], gain: float, has_turned: bool
) -> None:
    result, downmix = mixed(*channels)
    assert np.abs(np.abs(result) - gain * np.abs(M)).max() < 1e-6
    assert downmix.has_turned == has_turned


def test_a_pair_of_opposite_sign_is_kept_beside_a_louder_stranger() -> None:
    result, downmix = mixed(OTHER, 0.1 * M, -0.1 * M)
    assert downmix.has_turned
    assert np.abs(result - (OTHER + 0.2 * M) / 3).max() < 1e-6


def test_voices_of_several_channels_are_all_kept() -> None:
    halves = np.concatenate([M, ZERO]), np.concatenate([ZERO, OTHER])
    result, _ = mixed(halves[0], halves[1], np.concatenate([ZERO, ZERO]))
    assert np.corrcoef(result[: len(M)], M)[0, 1] > 0.999
    assert np.corrcoef(result[len(M) :], OTHER)[0, 1] > 0.999


def test_an_offset_does_not_make_channels_alike() -> None:
    _, downmix = mixed(M + 0.5, OTHER - 0.5, ZERO)
    assert not downmix.has_turned
