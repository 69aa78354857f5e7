"""How many voices there are, whatever the noise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mmer_ray.diarizers.agglomerative import normalised
from mmer_ray.diarizers.speaker_count import SAME_VOICE_THRESHOLD, find_speakers


def pieces(owners: list[int], noise: float, seed: int = 0, likeness: float = 0.0) -> NDArray[np.float32]:
    """Noisy pieces of voices whose cosine is `likeness`, in 192 dimensions."""
    rng = np.random.default_rng(seed)
    voices = normalised(rng.standard_normal((max(owners) + 2, 192)))
    common, own = voices[-1], voices[:-1]
    voices_KE = np.sqrt(likeness) * common + np.sqrt(1 - likeness) * own
    return normalised(voices_KE[owners] + noise * normalised(rng.standard_normal((len(owners), 192))))


def count(
    embeddings_NE: NDArray[np.float32],
    threshold: float = SAME_VOICE_THRESHOLD,
    seconds: NDArray[np.float64] | None = None,
    opinions: NDArray[np.float64] | None = None,
    max_speakers: int = 20,
) -> list[int]:
    number = len(embeddings_NE)
    seconds_N = np.full(number, 2.0) if seconds is None else seconds
    opinions_NN = np.zeros((number, number)) if opinions is None else opinions
    return find_speakers(embeddings_NE, seconds_N, opinions_NN, threshold, max_speakers).tolist()


@pytest.mark.parametrize("noise", [0.3, 0.7, 1.1])
@pytest.mark.parametrize("step", [-0.1, 0.0, 0.1])
def test_three_voices_are_found_in_clear_and_in_noisy_sound_at_any_threshold_near_the_default(
    noise: float, step: float
) -> None:
    owners = [0, 1, 0, 2, 1, 0, 2, 2, 1, 0, 1, 2] * 3
    assert count(pieces(owners, noise, likeness=0.2), SAME_VOICE_THRESHOLD + step) == owners


def test_one_voice_in_much_noise_stays_one() -> None:
    assert set(count(pieces([0] * 40, 1.1))) == {0}


def test_a_short_stray_piece_joins_its_nearest_and_a_long_voice_does_not() -> None:
    embeddings = pieces([0] * 10 + [1] * 4, 0.5, likeness=0.3)
    short, long = np.array([2.0] * 10 + [0.3] * 4), np.full(14, 2.0)
    assert set(count(embeddings, seconds=short)) == {0}
    assert count(embeddings, seconds=long) == [0] * 10 + [1] * 4


def test_a_short_voice_that_is_like_no_other_counts() -> None:
    embeddings = pieces([0] * 10 + [1], 0.5)
    assert count(embeddings, seconds=np.array([2.0] * 10 + [1.5])) == [0] * 10 + [1]


def test_a_phrase_that_is_repeated_makes_no_voice_of_its_own() -> None:
    talk = pieces([0] * 12, 1.0, seed=2)
    phrase = np.repeat(talk[:1], 30, axis=0)
    assert set(count(np.concatenate([talk, phrase]))) == {0}


def test_in_ten_minutes_a_voice_of_one_percent_counts() -> None:
    owners = [0] * 200 + [1] * 100 + [2] * 4
    assert count(pieces(owners, 0.9, likeness=0.2)) == owners


def test_never_more_speakers_than_allowed() -> None:
    assert len(set(count(pieces([0, 1, 2, 3] * 4, 0.3), max_speakers=2))) == 2


def test_what_the_network_says_of_a_chunk_decides_between_like_voices() -> None:
    owners = np.array([0, 1] * 8)
    embeddings = pieces(owners.tolist(), 0.85, likeness=0.7)
    says_two = np.where(owners[:, None] == owners, 1.0, -1.0) - np.eye(16)
    assert len(set(count(embeddings, seconds=np.full(16, 2.0)))) == 1
    assert count(embeddings, opinions=says_two) == owners.tolist()


def test_nothing_and_one_piece_are_fine() -> None:
    assert count(np.empty((0, 192), np.float32)) == []
    assert count(pieces([0], 0.1)) == [0]
