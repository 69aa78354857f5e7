"""How many speakers, and which embedding is whose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmer_ray.diarizers.agglomerative import absorb_small, by_first_appearance, centroids, cluster, normalised


def voices(*counts: int, spread: float = 0.15) -> NDArray[np.float32]:
    """So many vectors around each of several random directions."""
    rng = np.random.default_rng(3)
    centres = normalised(rng.normal(size=(len(counts), 32)))
    around = [centre + spread / 32**0.5 * rng.normal(size=(n, 32)) for n, centre in zip(counts, centres, strict=True)]
    return normalised(np.concatenate(around))


def test_the_number_of_speakers_is_found() -> None:
    for counts in ((12,), (5, 9), (4, 4, 4, 30)):
        labels = cluster(voices(*counts), 0.5, 20)
        assert labels.tolist() == [group for group, count in enumerate(counts) for _ in range(count)]


def test_one_vector_or_none_needs_no_clustering() -> None:
    assert cluster(voices(1), 0.5, 20).tolist() == [0]
    assert cluster(np.empty((0, 8), dtype=np.float32), 0.5, 20).tolist() == []


def test_no_more_groups_than_allowed() -> None:
    scattered = normalised(np.random.default_rng(0).normal(size=(40, 64)))
    assert len(set(cluster(scattered, 0.1, 1_000).tolist())) == 40
    for most in (1, 3, 20):
        assert len(set(cluster(scattered, 0.1, most).tolist())) == most


def test_vectors_of_one_window_stay_apart_even_beyond_the_allowed_number() -> None:
    same = voices(4, spread=0.0)
    window_of = np.array([0, 0, 1, 1])
    labels = cluster(same, 1.9, 1, window_N=window_of)
    assert labels[0] != labels[1]
    assert labels[2] != labels[3]
    assert set(labels.tolist()) == {0, 1}


def test_small_groups_go_to_the_nearest_large_one() -> None:
    vectors = voices(10, 10, 1)
    labels = np.array([0] * 10 + [1] * 10 + [2])
    absorbed = absorb_small(labels, vectors, 2)
    nearest = (vectors[20] @ centroids(vectors, labels)[:2].T).argmax()
    assert absorbed.tolist() == [0] * 10 + [1] * 10 + [nearest]


def test_when_all_groups_are_small_there_is_one_speaker() -> None:
    assert absorb_small(np.array([0, 1, 2]), voices(1, 1, 1), 2).tolist() == [0, 0, 0]


def test_labels_count_by_first_appearance() -> None:
    assert by_first_appearance(np.array([7, 2, 7, 5])).tolist() == [0, 1, 0, 2]
