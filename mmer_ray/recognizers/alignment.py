"""Where each symbol of a text lies in the sound: the best path through a trellis, for many texts at once.

Two trellises over blanks and symbols, one recursion:

- `CTC`: Graves et al. 2006, "Connectionist temporal classification", section 4 (as forced alignment: Kuerzinger et al.
  2020, "CTC-segmentation"). A symbol lasts as long as its frames show it, a blank parts two equal symbols, all frames
  count. For the greedy transcript the best path is the greedy path itself.
- `ONE_FRAME`: that of WhisperX 3.8.6 (Bain et al. 2023, section 3.3; `get_trellis` and `backtrack` of
  `whisperx/alignment.py`, after torchaudio's first tutorial on forced alignment). A symbol takes one frame and keeps
  the blanks up to the next, two equal symbols may touch, and frames behind the last symbol cost nothing. Sums and ties
  are WhisperX's too, so paths are equal, frame by frame.

Every operation works on each text's own places alone, so an answer does not depend on the others. NumPy, because the
five operations of a frame are small: 6 microseconds with one text and 22 with sixteen, by torch 21 and 39.

Shape letters: B texts, T frames of the longest, V symbols of the vocabulary, N symbols of a text, K places: one for the
beginning and one for each symbol of every text, one text after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum, auto
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IMPOSSIBLE = np.float32(-1e30)
MAX_CELLS = 1 << 25
"""Most frames times places in one pass: two bytes each."""
Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


class Trellis(Enum):
    """Which paths spell a text, and what they cost."""

    CTC = auto()
    ONE_FRAME = auto()


class Span(NamedTuple):
    """Frames of one symbol: first, one past the last, and the mean log probability of the path there."""

    first: int
    end: int
    logprob: float


class Speech(NamedTuple):
    """A stretch of sound as a CTC model sees it, and what is said in it."""

    logprobs: Floats
    """Shape (T, V)."""
    symbols: Sequence[int]
    """Columns of `logprobs`."""


def greedy(logprobs_TV: Floats, blank: int) -> list[int]:
    """Read the most probable symbol of each frame, repetitions and blanks dropped."""
    best_T = logprobs_TV.argmax(axis=1)
    changes_T = np.concatenate([[True], best_T[1:] != best_T[:-1]]) if len(best_T) else np.empty(0, dtype=bool)
    return [int(symbol) for symbol in best_T[changes_T] if symbol != blank]


def align(speech: Sequence[Speech], blank: int, trellis: Trellis = Trellis.CTC) -> list[list[Span] | None]:
    """Find the most probable frames of each symbol, in order, for each text: one list per text, in order.

    None where a text does not fit: fewer frames than symbols (with `CTC`, and blanks between equal ones).
    """
    spans: list[list[Span] | None] = [None if one.symbols else [] for one in speech]
    fitting = [index for index, one in enumerate(speech) if 0 < len(one.symbols) <= len(one.logprobs)]
    # Texts that are done leave the end of the row of places.
    fitting.sort(key=lambda index: -len(speech[index].logprobs))
    for group in _groups(speech, fitting):
        walk = _walk([speech[index] for index in group], blank, trellis)
        for position, index in enumerate(group):
            if frames := _trace(walk, position):
                spans[index] = _spans(speech[index], blank, *frames, trellis)
    return spans


def path_logprobs(speech: Speech, firsts_N: NDArray[np.int64], ends_N: NDArray[np.int64], blank: int) -> Floats:
    """The log probability of a path in each frame, shape (T,): of a symbol from its first frame to the one before its
    end, of a blank elsewhere."""
    path_T = speech.logprobs[:, blank].copy()
    num_frames_N = ends_N - firsts_N
    nth_N = np.repeat(np.arange(len(firsts_N)), num_frames_N)
    on_symbols = firsts_N[nth_N] + np.arange(len(nth_N)) - (np.cumsum(num_frames_N) - num_frames_N)[nth_N]
    path_T[on_symbols] = speech.logprobs[on_symbols, np.asarray(speech.symbols, np.int64)[nth_N]]
    return path_T


def _groups(speech: Sequence[Speech], indices: Sequence[int]) -> Iterator[list[int]]:
    """Part texts, the longest sound first, into groups of at most `MAX_CELLS`."""
    group: list[int] = []
    num_places = 0
    for index in indices:
        places = len(speech[index].symbols) + 1
        if group and (num_places + places) * len(speech[group[0]].logprobs) > MAX_CELLS:
            yield group
            group, num_places = [], 0
        group.append(index)
        num_places += places
    if group:
        yield group


class _Walk(NamedTuple):
    """What the recursion has found."""

    on_symbol: Flags
    """Shape (T, K): the best way to a place is on its symbol in this frame, not on a blank behind it."""
    stayed: Flags | None
    """Shape (T, K): the best way on a symbol was there in the frame before; None where a symbol lasts one frame."""
    is_repeated: Flags
    """Shape (K,): the symbol of the place is that of the place before: a blank must part them."""
    firsts: NDArray[np.int64]
    """Shape (B + 1,): place of each text's beginning, and the end of the last one."""
    last_frames: NDArray[np.int64]
    """Shape (B,): the frame in which each text ends; -1 where it does not fit."""


def _walk(speech: Sequence[Speech], blank: int, trellis: Trellis) -> _Walk:
    """Score the best way to every place, frame by frame. Texts are sorted by the length of their sound, longest first.

    A place keeps two scores: of the ways that are on its symbol and of those on a blank behind it. The place of a
    beginning has no symbol.
    """
    num_frames = [len(one.logprobs) for one in speech]
    firsts_B = np.cumsum([0, *(len(one.symbols) + 1 for one in speech)])
    num_places = int(firsts_B[-1])
    emissions_TBV, columns_2K, equal_K = _laid_out(speech, blank)
    is_ctc = trellis is Trellis.CTC
    on_symbol_TK = np.zeros((num_frames[0], num_places), dtype=bool)
    stayed_TK = np.zeros_like(on_symbol_TK) if is_ctc else None
    ends_TB = np.full((num_frames[0], len(speech)), -np.inf, dtype=np.float32)
    symbol_K = np.full(num_places, -np.inf, dtype=np.float32)
    # One place ahead, so that a slice is the place before; what comes from another text meets a beginning and is lost.
    blank_K1, best_K1 = (np.full(num_places + 1, -np.inf, dtype=np.float32) for _ in range(2))
    blank_K1[1:][firsts_B[:-1]] = best_K1[1:][firsts_B[:-1]] = 0.0
    emitted_2K = np.empty_like(columns_2K, dtype=np.float32)
    for first, end, texts in _stretches(num_frames):
        # The texts whose sound goes on, at the head of the row.
        places = int(firsts_B[texts])
        lasts_B = firsts_B[1 : texts + 1]
        columns, emitted = columns_2K[:, :places].reshape(-1), emitted_2K.reshape(-1)[: 2 * places]
        on_text, on_blank = emitted[:places], emitted[places:]
        symbols, blanks, bests = symbol_K[:places], blank_K1[1 : places + 1], best_K1[1 : places + 1]
        blank_before, best_before, equal = blank_K1[:places], best_K1[:places], equal_K[:places]
        for frame in range(first, end):
            np.take(emissions_TBV[frame], columns, out=emitted, mode="clip")
            if stayed_TK is None:
                np.add(best_before, on_text, out=symbols)
            else:
                entering = np.where(equal, blank_before, best_before)
                np.greater_equal(symbols, entering, out=stayed_TK[frame, :places])
                np.maximum(symbols, entering, out=symbols)
                symbols += on_text
            np.add(bests, on_blank, out=blanks)
            np.greater(symbols, blanks, out=on_symbol_TK[frame, :places])
            np.maximum(symbols, blanks, out=bests)
            ends_TB[frame, :texts] = best_K1[lasts_B]
    return _Walk(on_symbol_TK, stayed_TK, equal_K, firsts_B, _last_frames(ends_TB, num_frames, is_ctc))


def _laid_out(speech: Sequence[Speech], blank: int) -> tuple[Floats, NDArray[np.intp], Flags]:
    """Emissions in order of time, where each place finds its symbol's and its blank's, and which symbols repeat.

    Shapes (T, B, columns of each text), (2, K) into the flattened last two axes, (K,).
    """
    used = [np.unique([blank, *one.symbols], return_inverse=True) for one in speech]
    # The last column is what the beginnings, which have no symbol, emit.
    width = max(len(columns) for columns, _ in used) + 1
    emissions_TBV = np.full((len(speech[0].logprobs), len(speech), width), -np.inf, dtype=np.float32)
    of_symbols, of_blanks, equal = [], [], []
    for text, (one, (columns, positions)) in enumerate(zip(speech, used, strict=True)):
        emissions_TBV[: len(one.logprobs), text, : len(columns)] = one.logprobs[:, columns]
        of_symbols.append(text * width + np.concatenate([[width - 1], positions[1:]]))
        of_blanks.append(np.full(len(positions), text * width + positions[0]))
        equal.append(np.concatenate([[False, False], positions[2:] == positions[1:-1]]))
    return emissions_TBV, np.stack([np.concatenate(of_symbols), np.concatenate(of_blanks)]), np.concatenate(equal)


def _stretches(num_frames: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Cut the frames where texts end: first frame, one past the last, and how many texts are there."""
    for first, end in pairwise([0, *sorted(set(num_frames))]):
        yield first, end, sum(frames > first for frames in num_frames)


def _last_frames(ends_TB: Floats, num_frames: Sequence[int], is_ctc: bool) -> NDArray[np.int64]:
    """The frame in which each text ends: the last one, or the first after which the text is most probable."""
    texts = np.arange(len(num_frames))
    last_frames_B = np.array(num_frames) - 1 if is_ctc else ends_TB.argmax(axis=0)
    return np.where(ends_TB[last_frames_B, texts] > IMPOSSIBLE / 2, last_frames_B, -1)


def _trace(walk: _Walk, text: int) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Follow the best way of one text back from its end: for each symbol its first frame and one past its last."""
    frame = int(walk.last_frames[text])
    if frame < 0:
        return None
    first, last = int(walk.firsts[text]), int(walk.firsts[text + 1]) - 1
    on_symbol = walk.on_symbol.data
    stayed = None if walk.stayed is None else walk.stayed.data
    is_repeated = walk.is_repeated[first : last + 1].tolist()
    entered, ended = [0] * (last - first), [0] * (last - first)
    place, is_on_symbol, was_on_symbol = last, bool(on_symbol[frame, last]), False
    while place > first:
        if is_on_symbol and not was_on_symbol:
            ended[place - first - 1] = frame + 1
        was_on_symbol = is_on_symbol
        if not is_on_symbol:
            is_on_symbol = bool(on_symbol[frame - 1, place])
        elif stayed is None or not stayed[frame, place]:
            entered[place - first - 1] = frame
            must_part = stayed is not None and is_repeated[place - first]
            place -= 1
            is_on_symbol, was_on_symbol = not must_part and bool(on_symbol[frame - 1, place]), False
        frame -= 1
    return np.array(entered), np.array(ended)


def _spans(
    speech: Speech, blank: int, entered_N: NDArray[np.int64], left_N: NDArray[np.int64], trellis: Trellis
) -> list[Span]:
    """Give each symbol its frames; with `ONE_FRAME` also the blanks up to the next symbol."""
    path_T = path_logprobs(speech, entered_N, left_N, blank)
    ends_N = left_N if trellis is Trellis.CTC else np.append(entered_N[1:], left_N[-1])
    sums_T1 = np.concatenate([[0.0], np.cumsum(path_T, dtype=np.float64)])
    means_N = (sums_T1[ends_N] - sums_T1[entered_N]) / (ends_N - entered_N)
    return [Span(*span) for span in zip(entered_N.tolist(), ends_N.tolist(), means_N.tolist(), strict=True)]
