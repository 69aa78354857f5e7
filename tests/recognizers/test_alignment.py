"""Forced alignment on small trellises."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from mmer_ray.recognizers.alignment import align, greedy

BLANK = 0


def trellis(seed: int, num_frames: int, num_symbols: int = 4) -> NDArray[np.float32]:
    logits_TV = np.random.default_rng(seed).normal(0, 2, (num_frames, num_symbols))
    return np.asarray(logits_TV - np.log(np.exp(logits_TV).sum(axis=1, keepdims=True)), dtype=np.float32)


def collapse(path: tuple[int, ...]) -> list[int]:
    return [symbol for symbol, _ in itertools.groupby(path) if symbol != BLANK]


def best_by_trying_all(logprobs_TV: NDArray[np.float32], symbols: list[int]) -> float:
    """The best score over every path that spells the symbols."""
    num_frames, num_symbols = logprobs_TV.shape
    paths = itertools.product(range(num_symbols), repeat=num_frames)
    return max(sum(float(logprobs_TV[t, v]) for t, v in enumerate(path)) for path in paths if collapse(path) == symbols)


@pytest.mark.parametrize(("seed", "symbols"), [(0, [1]), (1, [1, 2]), (2, [2, 2]), (3, [1, 1, 3]), (4, [3, 1, 2])])
def test_the_path_is_the_best_of_all_paths_that_spell_the_text(seed: int, symbols: list[int]) -> None:
    logprobs_TV = trellis(seed, 6)
    spans = align(logprobs_TV, symbols, BLANK)
    assert spans is not None
    path = [BLANK] * 6
    for span, symbol in zip(spans, symbols, strict=True):
        path[span.first : span.end] = [symbol] * (span.end - span.first)
    assert collapse(tuple(path)) == symbols
    score = sum(logprobs_TV[t, v] for t, v in enumerate(path))
    assert score == pytest.approx(best_by_trying_all(logprobs_TV, symbols), abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_the_greedy_transcript_aligns_along_the_greedy_path(seed: int) -> None:
    logprobs_TV = trellis(seed, 60, 6)
    symbols = greedy(logprobs_TV, BLANK)
    spans = align(logprobs_TV, symbols, BLANK)
    assert spans is not None
    best_T = logprobs_TV.argmax(axis=1)
    for span, symbol in zip(spans, symbols, strict=True):
        assert set(best_T[span.first : span.end]) == {symbol}
        assert span.logprob == pytest.approx(logprobs_TV[span.first : span.end, symbol].mean(), abs=1e-5)
    assert sum(span.end - span.first for span in spans) == (best_T != BLANK).sum()


def test_spans_are_in_order_and_do_not_overlap() -> None:
    spans = align(trellis(9, 40), [1, 2, 3, 3, 1], BLANK)
    assert spans is not None
    assert all(span.first < span.end for span in spans)
    assert all(before.end <= after.first for before, after in itertools.pairwise(spans))


def test_a_text_longer_than_the_sound_does_not_fit() -> None:
    assert align(trellis(0, 3), [1, 2, 3, 1], BLANK) is None
    assert align(trellis(0, 2), [1, 1], BLANK) is None
    assert align(trellis(0, 3), [1, 1], BLANK) is not None


def test_no_text_has_no_spans_and_no_frames_have_no_text() -> None:
    assert align(trellis(0, 3), [], BLANK) == []
    assert greedy(np.empty((0, 4), dtype=np.float32), BLANK) == []
