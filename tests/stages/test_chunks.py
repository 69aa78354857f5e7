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


def test_a_margin_is_read_where_nobody_speaks_and_no_sound_twice() -> None:
    turns = (Turn(0.125, 1, 0), Turn(1.25, 3, 1), Turn(3.75, 5, 0), Turn(7, 9.875, 1))
    chunks = cut_chunks([noisy_window(10, turns=turns)], 6.0, margin_s=0.25)
    # The window's ends are ends; 0.25 s between two turns are read once, and 0.75 s leave a hole.
    assert seconds(chunks) == [(0, 3.25), (3.5, 5.25), (6.75, 10)]
    wide = cut_chunks([noisy_window(95, turns=(Turn(1, 94, 0),))], 30.0, margin_s=0.5)
    assert max(chunk.num_samples for chunk in wide) <= 30 * SAMPLE_RATE_HZ
    assert (seconds(wide)[0][0], seconds(wide)[-1][1]) == (0.5, 94.5)
    assert all(before[1] == after[0] for before, after in pairwise(seconds(wide)))


def test_packed_chunks_hold_what_fits_of_one_window_and_lose_nothing() -> None:
    turns = (Turn(1, 9, 0), Turn(12, 20, 1), Turn(40, 54, 0), Turn(60, 61, 1))
    spoken = noisy_window(70, turns=turns)
    other = noisy_window(10, turns=(Turn(2, 3, 0),))
    packed = cut_chunks([spoken, other], 30.0, pack=True)
    # 8 + 8 + 14 s are 30; the rest begins anew, and no chunk goes over a window's end.
    assert [(chunk.window, chunk.parts) for chunk in packed] == [
        (0, tuple((round(a * SAMPLE_RATE_HZ), round(b * SAMPLE_RATE_HZ)) for a, b in ((1, 9), (12, 20), (40, 54)))),
        (0, ((60 * SAMPLE_RATE_HZ, 61 * SAMPLE_RATE_HZ),)),
        (1, ((2 * SAMPLE_RATE_HZ, 3 * SAMPLE_RATE_HZ),)),
    ]
    assert [chunk.splices for chunk in packed] == [(8 * SAMPLE_RATE_HZ, 16 * SAMPLE_RATE_HZ), (), ()]
    sound = packed[0].cut(spoken.samples)
    assert len(sound) == packed[0].num_samples == 30 * SAMPLE_RATE_HZ
    assert np.array_equal(sound[-14 * SAMPLE_RATE_HZ :], spoken.samples[40 * SAMPLE_RATE_HZ : 54 * SAMPLE_RATE_HZ])


def test_what_had_to_be_cut_is_put_together_again_as_far_as_it_fits() -> None:
    chunks = cut_chunks([noisy_window(95)], 30.0, pack=True)
    assert all(len(chunk.parts) == 1 for chunk in chunks)
    assert all(before[1] == after[0] for before, after in pairwise(seconds(chunks)))
    assert all(before.num_samples + after.num_samples > 30 * SAMPLE_RATE_HZ for before, after in pairwise(chunks)), (
        "two neighbours that fit one chunk are one"
    )


def test_times_of_a_packed_chunk_are_those_of_the_part_that_a_word_lies_in() -> None:
    one = Chunk(0, ((16_000, 32_000), (160_000, 192_000)))
    assert one.in_window(0.2, 0.6) == (1.2, 1.6)
    assert one.in_window(1.5, 2.0) == (10.5, 11.0)
    # Most of it lies in the first part, so it ends there; then the other way round.
    assert one.in_window(0.4, 1.2) == (1.4, 2.0)
    assert one.in_window(0.9, 1.5) == (10.0, 10.5)
    assert one.in_window(2.5, 3.0) == (11.5, 12.0)
