"""What the transcriber reads at once."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from mmer_ray.records import SAMPLE_RATE_HZ, Turn, Window
from mmer_ray.stages.chunks import Chunk, cut_chunks
from tests.stages.makers import window


def noisy_window(duration_s: float, *pauses: tuple[float, float], turns: tuple[Turn, ...] = ()) -> Window:
    samples = np.random.default_rng(0).normal(0, 3_000, round(duration_s * SAMPLE_RATE_HZ)).astype(np.int16)
    for start_s, end_s in pauses:
        samples[round(start_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)] //= 100
    return replace(window(0, duration_s, turns=turns or (Turn(0, duration_s, 0),)), samples=samples)


def seconds(chunks: list[Chunk]) -> list[tuple[float, float]]:
    return [(begin / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ) for chunk in chunks for begin, end in chunk.parts]


def test_speech_is_cut_at_its_pauses() -> None:
    ((_, first_cut_s), (_, second_cut_s), (_, end_s)) = seconds(
        cut_chunks([noisy_window(70, (25, 25.6), (49, 49.4))], 30.0)
    )
    assert 25 <= first_cut_s <= 25.6
    assert 49 <= second_cut_s <= 49.4
    assert end_s == 70


def test_no_chunk_is_too_long_and_none_of_the_speech_is_lost() -> None:
    for max_chunk_s in (0.5, 4, 12, 30):
        chunks = cut_chunks([noisy_window(95)], max_chunk_s)
        assert max(chunk.num_samples for chunk in chunks) <= max_chunk_s * SAMPLE_RATE_HZ
        assert all(before[1] == after[0] for before, after in pairwise(seconds(chunks)))
        assert (seconds(chunks)[0][0], seconds(chunks)[-1][1]) == (0, 95)


def test_short_turns_that_touch_are_read_together_and_silence_is_left_out() -> None:
    turns = (Turn(1, 3, 0), Turn(3, 5, 1), Turn(7, 8, 0))
    assert seconds(cut_chunks([noisy_window(10, turns=turns)], 6.0)) == [(1, 5), (7, 8)]


def test_a_window_without_turns_has_no_chunk() -> None:
    assert cut_chunks([window(0, 10)], 6.0) == []
