"""Where each symbol of a text lies in the sound: the best path through a CTC trellis.

The standard Viterbi recursion over blanks and symbols (Graves et al. 2006, "Connectionist temporal classification",
section 4; as forced alignment: Kuerzinger et al. 2020, "CTC-segmentation"). For the greedy transcript the best path is
the greedy path itself; for any other text it is where that text fits best.

Shape letters: T frames, V symbols of the vocabulary, N symbols of the text, P places (a blank around each symbol).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IMPOSSIBLE = np.float32(-1e30)


class Span(NamedTuple):
    """Frames of one symbol: first, one past the last, and its mean log probability there."""

    first: int
    end: int
    logprob: float


def greedy(logprobs_TV: NDArray[np.float32], blank: int) -> list[int]:
    """Read the most probable symbol of each frame, repetitions and blanks dropped."""
    best_T = logprobs_TV.argmax(axis=1)
    changes_T = np.concatenate([[True], best_T[1:] != best_T[:-1]]) if len(best_T) else np.empty(0, dtype=bool)
    return [int(symbol) for symbol in best_T[changes_T] if symbol != blank]


def align(logprobs_TV: NDArray[np.float32], symbols: list[int], blank: int) -> list[Span] | None:
    """Find the most probable frames of each symbol, in order. Log probabilities: float32, shape (T, V).

    Returns None when the text does not fit: fewer frames than symbols (and blanks between equal ones).
    """
    if not symbols:
        return []
    if len(logprobs_TV) < len(symbols):
        return None
    places_P = np.full(2 * len(symbols) + 1, blank)
    places_P[1::2] = symbols
    steps_TP, scores_P = _walk(logprobs_TV, places_P, blank)
    last = len(places_P) - 1
    place = last if scores_P[last] >= scores_P[last - 1] else last - 1
    if scores_P[place] <= IMPOSSIBLE / 2:
        return None
    path_T = np.empty(len(logprobs_TV), dtype=np.int64)
    for frame in range(len(logprobs_TV) - 1, -1, -1):
        path_T[frame] = place
        place -= int(steps_TP[frame, place])
    return _spans(logprobs_TV, path_T, symbols)


def _walk(
    logprobs_TV: NDArray[np.float32], places_P: NDArray[np.int64], blank: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Score the best way to every place, frame by frame: steps taken, uint8 (T, P), and last scores, float32 (P,)."""
    emissions_TP = logprobs_TV[:, places_P]
    # A blank may be jumped over where it does not part two equal symbols.
    may_jump_P = np.zeros(len(places_P), dtype=bool)
    may_jump_P[2:] = (places_P[2:] != blank) & (places_P[2:] != places_P[:-2])
    steps_TP = np.zeros(emissions_TP.shape, dtype=np.uint8)
    scores_P = np.full(len(places_P), IMPOSSIBLE, dtype=np.float32)
    scores_P[:2] = emissions_TP[0, :2]
    ways_3P = np.full((3, len(places_P)), IMPOSSIBLE, dtype=np.float32)
    for frame in range(1, len(emissions_TP)):
        ways_3P[0] = scores_P
        ways_3P[1, 1:] = scores_P[:-1]
        ways_3P[2, 2:] = np.where(may_jump_P[2:], scores_P[:-2], IMPOSSIBLE)
        step_P = ways_3P.argmax(axis=0)
        steps_TP[frame] = step_P
        scores_P = np.take_along_axis(ways_3P, step_P[None], axis=0)[0] + emissions_TP[frame]
    return steps_TP, scores_P


def _spans(logprobs_TV: NDArray[np.float32], path_T: NDArray[np.int64], symbols: list[int]) -> list[Span]:
    firsts = np.searchsorted(path_T, np.arange(len(symbols)) * 2 + 1, side="left")
    ends = np.searchsorted(path_T, np.arange(len(symbols)) * 2 + 1, side="right")
    return [
        Span(int(first), int(end), float(logprobs_TV[first:end, symbol].mean()))
        for first, end, symbol in zip(firsts, ends, symbols, strict=True)
    ]
