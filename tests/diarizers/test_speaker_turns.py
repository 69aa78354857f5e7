"""Who speaks when, from voices that are plain vectors."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from numpy.typing import NDArray

from mmer_ray.diarizers.agglomerative import normalised
from mmer_ray.diarizers.speaker_turns import SEGMENT_S, assign, cut_segments, find_speakers, smooth, snap
from mmer_ray.records import SAMPLE_RATE_HZ, Samples

ANNA, BERT = np.array([1.0, 0.1]), np.array([0.1, 1.0])


def talk(change_s: float, length_s: float, pause_s: float = 0.1) -> Samples:
    """Noise with a short pause at the change of speakers."""
    samples = np.random.default_rng(0).normal(0, 2_000, round(length_s * SAMPLE_RATE_HZ)).astype(np.int16)
    samples[round((change_s - pause_s / 2) * SAMPLE_RATE_HZ) : round((change_s + pause_s / 2) * SAMPLE_RATE_HZ)] = 0
    return samples


def heard(segments: list, change_s: float) -> NDArray[np.float32]:
    """What a model would hear: each voice in proportion to its time, and a little noise."""
    share = np.array([np.clip((change_s - s.start_s) / (s.end_s - s.start_s), 0, 1) for s in segments])[:, None]
    noise = np.random.default_rng(1).normal(0, 0.05, (len(segments), 2))
    return normalised(share * ANNA + (1 - share) * BERT + noise)


def test_segments_cover_their_regions_and_stay_inside_them() -> None:
    regions = [(0.0, 0.4), (2.0, 3.5), (5.0, 9.2)]
    segments = cut_segments(regions)
    assert [sum(segment.region == index for segment in segments) for index in range(3)] == [1, 1, 7]
    for index, (start_s, end_s) in enumerate(regions):
        mine = [segment for segment in segments if segment.region == index]
        assert mine[0].start_s == start_s
        assert mine[-1].end_s == pytest.approx(end_s)
        assert all(s.end_s - s.start_s == pytest.approx(min(SEGMENT_S, end_s - start_s)) for s in mine)


@pytest.mark.parametrize("change_s", [3.0, 4.26, 6.61])
def test_a_change_of_speaker_without_a_pause_in_the_speech_is_found(change_s: float) -> None:
    regions = [(0.0, 10.0)]
    segments = cut_segments(regions)
    embeddings = heard(segments, change_s)
    labels = find_speakers(embeddings, 0.5, 20)
    (first, second) = assign(regions, segments, embeddings, labels, talk(change_s, 10))
    assert first[1] == second[0] == pytest.approx(change_s, abs=0.25)
    assert first[2] != second[2]
    assert (first[0], second[1]) == (0.0, 10.0)


def test_one_voice_is_one_span_per_region() -> None:
    regions = [(0.0, 10.0), (12.0, 13.0)]
    segments = cut_segments(regions)
    embeddings = heard(segments, 100.0)
    labels = find_speakers(embeddings, 0.5, 20)
    assert assign(regions, segments, embeddings, labels, talk(5, 13)) == [(0.0, 10.0, 0), (12.0, 13.0, 0)]


def test_spans_fill_every_region_and_neighbours_differ() -> None:
    rng = np.random.default_rng(2)
    regions = [(0.3, 4.0), (5.0, 5.6), (7.0, 30.0)]
    segments = cut_segments(regions)
    embeddings = normalised(rng.normal(size=(len(segments), 8)))
    labels = rng.integers(0, 4, len(segments))
    labels[:4] = range(4)
    spans = assign(regions, segments, embeddings, labels, talk(15, 30))
    for start_s, end_s in regions:
        inside = [span for span in spans if start_s <= span[0] < end_s]
        assert (inside[0][0], inside[-1][1]) == (start_s, end_s)
        for before, after in pairwise(inside):
            assert before[1] == after[0]
            assert before[2] != after[2]
            assert before[0] < before[1]


def test_a_single_odd_frame_does_not_change_the_speaker() -> None:
    distances = np.tile([0.1, 0.6], (50, 1))
    distances[25] = [0.6, 0.1]
    assert set(smooth(distances, 1.0).tolist()) == {0}
    distances[20:] = [0.6, 0.1]
    assert smooth(distances, 1.0).tolist() == [0] * 20 + [1] * 30


@pytest.mark.parametrize("seed", range(10))
def test_smoothing_finds_the_cheapest_path_of_all(seed: int) -> None:
    distances = np.random.default_rng(seed).uniform(0, 1, (7, 3))

    def cost(path: tuple[int, ...]) -> float:
        changes = sum(a != b for a, b in pairwise(path))
        return float(distances[range(7), list(path)].sum()) + 0.4 * changes

    assert cost(tuple(smooth(distances, 0.4).tolist())) == pytest.approx(min(map(cost, product(range(3), repeat=7))))


def test_a_border_between_speakers_moves_to_the_pause_nearby() -> None:
    # The pause lies beside the border that the frames give: only snapping finds it to a hundredth of a second.
    samples = talk(4.17, 10, pause_s=0.12)
    assert snap(samples, 4.0, 0.0, 10.0) == pytest.approx(4.17, abs=0.02)
    regions = [(0.0, 10.0)]
    segments = cut_segments(regions)
    embeddings = heard(segments, 4.17)
    labels = find_speakers(embeddings, 0.5, 20)
    (first, second) = assign(regions, segments, embeddings, labels, samples)
    assert first[1] == second[0] == pytest.approx(4.17, abs=0.02)
