"""Cutting: windows tile the audio, fall on pauses and do not depend on the blocks that the samples came in."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mmer_ray.audio.windows import MIN_LAST_S, Cutter
from mmer_ray.records import SAMPLE_RATE_HZ, Samples

WINDOW_S = 20.0


def hum(duration_s: float, num_channels: int = 1, seed: int = 0) -> Samples:
    shape = (num_channels, int(duration_s * SAMPLE_RATE_HZ))
    return np.random.default_rng(seed).integers(-3000, 3000, shape).astype(np.int16)


def cut(samples: Samples, block_sizes: Iterator[int] | None = None, window_s: float = WINDOW_S) -> list[Samples]:
    cutter, start = Cutter(len(samples), window_s), 0
    pieces: list[Samples] = []
    while start < samples.shape[1]:
        size = next(block_sizes) if block_sizes else SAMPLE_RATE_HZ
        for piece in cutter.append(samples[:, start : start + size]):
            assert piece.start_sample == sum(cut_off.shape[1] for cut_off in pieces)
            pieces.append(piece.samples.copy())
        start += size
    pieces.extend(piece.samples.copy() for piece in cutter.finish())
    return pieces


@settings(max_examples=40, deadline=None)
@given(
    num_samples=st.integers(1, 90 * SAMPLE_RATE_HZ),
    num_channels=st.integers(1, 2),
    window_s=st.floats(20, 40),
    seed=st.integers(0, 9),
)
def test_windows_tile_the_samples_and_keep_to_the_limit(
    num_samples: int, num_channels: int, window_s: float, seed: int
) -> None:
    samples = hum(num_samples / SAMPLE_RATE_HZ + 1, num_channels, seed)[:, :num_samples]
    pieces = cut(samples, window_s=window_s)
    assert np.array_equal(np.concatenate(pieces, axis=1), samples)
    assert all(piece.shape[1] <= window_s * SAMPLE_RATE_HZ for piece in pieces)
    assert all(piece.shape[1] >= MIN_LAST_S * SAMPLE_RATE_HZ for piece in pieces) or len(pieces) == 1


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 3 * SAMPLE_RATE_HZ), min_size=1, max_size=6), seed=st.integers(0, 9))
def test_the_sizes_of_the_blocks_do_not_move_a_cut(sizes: list[int], seed: int) -> None:
    def endless() -> Iterator[int]:
        while True:
            yield from (max(size, 2000) for size in sizes)

    samples = hum(64.0, 2, seed)
    expected = [piece.shape for piece in cut(samples)]
    assert [piece.shape for piece in cut(samples, endless())] == expected
    assert len(expected) > 3


def test_a_window_ends_in_the_middle_of_the_pause_before_the_limit() -> None:
    samples = hum(50.0)
    samples[:, 13 * SAMPLE_RATE_HZ : round(13.3 * SAMPLE_RATE_HZ)] = 0
    assert cut(samples)[0].shape[1] == round(13.15 * SAMPLE_RATE_HZ)


def test_of_equal_pauses_the_latest_is_taken_so_that_windows_are_long() -> None:
    silence = np.zeros((1, 50 * SAMPLE_RATE_HZ), dtype=np.int16)
    assert [piece.shape[1] / SAMPLE_RATE_HZ for piece in cut(silence)] == [20.0, 20.0, 10.0]


def test_both_channels_count_when_a_pause_is_looked_for() -> None:
    samples = hum(50.0, 2)
    samples[0, 12 * SAMPLE_RATE_HZ : 14 * SAMPLE_RATE_HZ] = 0
    samples[:, 16 * SAMPLE_RATE_HZ : round(16.3 * SAMPLE_RATE_HZ)] = 0
    assert cut(samples)[0].shape[1] == round(16.15 * SAMPLE_RATE_HZ)
