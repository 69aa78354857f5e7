"""Forced alignment on small trellises."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mmer_ray.models.torchaudio_guard import make_torchaudio_importable
from mmer_ray.recognizers import alignment
from mmer_ray.recognizers.alignment import Span, Speech, Trellis, align, greedy

BLANK = 0


def trellis(seed: int, num_frames: int, num_symbols: int = 4) -> NDArray[np.float32]:
    logits_TV = np.random.default_rng(seed).normal(0, 2, (num_frames, num_symbols))
    return np.asarray(logits_TV - np.log(np.exp(logits_TV).sum(axis=1, keepdims=True)), dtype=np.float32)


def spans_of(logprobs_TV: NDArray[np.float32], symbols: list[int]) -> list[Span] | None:
    (spans,) = align([Speech(logprobs_TV, symbols)], BLANK)
    return spans


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
    spans = spans_of(logprobs_TV, symbols)
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
    spans = spans_of(logprobs_TV, symbols)
    assert spans is not None
    best_T = logprobs_TV.argmax(axis=1)
    for span, symbol in zip(spans, symbols, strict=True):
        assert set(best_T[span.first : span.end]) == {symbol}
        assert span.logprob == pytest.approx(logprobs_TV[span.first : span.end, symbol].mean(), abs=1e-5)
    assert sum(span.end - span.first for span in spans) == (best_T != BLANK).sum()


def test_spans_are_in_order_and_do_not_overlap() -> None:
    spans = spans_of(trellis(9, 40), [1, 2, 3, 3, 1])
    assert spans is not None
    assert all(span.first < span.end for span in spans)
    assert all(before.end <= after.first for before, after in itertools.pairwise(spans))


def test_a_text_longer_than_the_sound_does_not_fit() -> None:
    assert spans_of(trellis(0, 3), [1, 2, 3, 1]) is None
    assert spans_of(trellis(0, 2), [1, 1]) is None
    assert spans_of(trellis(0, 3), [1, 1]) is not None


def test_no_text_has_no_spans_and_no_frames_have_no_text() -> None:
    assert spans_of(trellis(0, 3), []) == []
    assert greedy(np.empty((0, 4), dtype=np.float32), BLANK) == []


def emissions(rng: np.random.Generator, text: list[int], num_frames: int, num_symbols: int) -> NDArray[np.float32]:
    """Log probabilities as a trained model has them: blanks, and a frame or two for each symbol of the text."""
    logits_TV = rng.normal(0, 2, (num_frames, num_symbols))
    logits_TV[:, BLANK] += 6
    for first, symbol in zip(np.sort(rng.choice(num_frames, len(text), replace=False)), text, strict=True):
        logits_TV[first : first + rng.integers(1, 3), symbol] += 12
    return np.asarray(logits_TV - np.log(np.exp(logits_TV).sum(axis=1, keepdims=True)), dtype=np.float32)


def some_speech(seed: int, num: int = 12) -> list[Speech]:
    """Emissions of all lengths: half of them peaky, half noise, and texts too long for their sound."""
    rng = np.random.default_rng(seed)
    speech = [Speech(trellis(seed, 3), [1, 2, 2, 1])]
    for index in range(num):
        num_frames, num_symbols = int(rng.integers(1, 160)), int(rng.integers(3, 32))
        text = rng.integers(1, num_symbols, rng.integers(1, 1 + num_frames // 2 if index % 2 else 80)).tolist()
        peaky = index % 2 == 1 and len(text) <= num_frames
        speech.append(
            Speech(
                emissions(rng, text, num_frames, num_symbols) if peaky else trellis(seed, num_frames, num_symbols), text
            )
        )
    return speech


def frames_by_whisperx(speech: Speech) -> list[tuple[int, int]] | None:
    """First frame of each symbol and one past its last, by WhisperX's own functions."""
    make_torchaudio_importable()
    from whisperx.alignment import backtrack, get_trellis, merge_repeats

    emission, tokens = torch.from_numpy(speech.logprobs), list(speech.symbols)
    path = backtrack(get_trellis(emission, tokens, BLANK), emission, tokens, BLANK)
    if path is None:
        return None
    return [(one.start, one.end) for one in merge_repeats(path, "".join(map(chr, tokens)))]


@pytest.mark.parametrize("seed", range(10))
def test_one_frame_for_each_symbol_gives_the_path_of_whisperx_frame_by_frame(seed: int) -> None:
    speech = some_speech(seed)
    found = align(speech, BLANK, Trellis.ONE_FRAME)
    frames = [spans and [(span.first, span.end) for span in spans] for spans in found]
    expected = [frames_by_whisperx(one) for one in speech]
    # The test shows nothing where these are not there.
    assert {one is None for one in expected} == {True, False}
    assert frames == expected


def test_one_trellis_cannot_serve_both_where_a_symbol_lasts_for_frames() -> None:
    """WhisperX pays for blanks there, and nothing for frames that it leaves at the end: its last symbol comes early."""
    logprobs_TV = np.log(np.full((9, 3), 0.01, dtype=np.float32))
    logprobs_TV[[0, 1, 5, 6, 8], BLANK] = logprobs_TV[[2, 3, 4], 1] = logprobs_TV[7, 2] = np.log(0.98)
    speech = Speech(logprobs_TV, [1, 2])
    ctc, one_frame = ([(one.first, one.end) for one in align([speech], BLANK, kind)[0] or ()] for kind in Trellis)
    assert ctc == [(2, 5), (7, 8)]
    assert one_frame == frames_by_whisperx(speech) == [(2, 3), (3, 4)]


@pytest.mark.parametrize("kind", Trellis)
@pytest.mark.parametrize("seed", range(5))
def test_an_answer_is_exactly_the_same_alone_and_in_any_company(
    kind: Trellis, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    speech = some_speech(100 + seed, 20)
    alone = [align([one], BLANK, kind)[0] for one in speech]
    assert align(speech, BLANK, kind) == alone
    assert align(speech[::-1], BLANK, kind) == alone[::-1]
    monkeypatch.setattr(alignment, "MAX_CELLS", 10_000)
    assert align(speech, BLANK, kind) == alone


def test_the_log_probability_of_a_span_is_the_mean_along_its_path() -> None:
    one = some_speech(3)[1]
    (spans,) = align([one], BLANK, Trellis.ONE_FRAME)
    assert spans
    for span, symbol in zip(spans, one.symbols, strict=True):
        path = [one.logprobs[span.first, symbol], *one.logprobs[span.first + 1 : span.end, BLANK]]
        assert span.logprob == pytest.approx(np.mean(path), abs=1e-5)
