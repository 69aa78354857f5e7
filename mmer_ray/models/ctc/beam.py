"""Decoding a CTC model with a bigram language model.

Prefix beam search after Hannun et al. 2014, "First-pass large vocabulary continuous speech recognition using
bi-directional recurrent DNNs", algorithm 1: a prefix's probability is the sum over all its paths, kept apart by whether
they end in a blank. Each finished word adds `word_weight` times its log probability after the word before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmer_ray.models.ctc.bigrams import START, Bigrams
from mmer_ray.models.ctc.vocabulary import BLANK, SYMBOLS, WORD_BREAK

LOG_ZERO = -math.inf

Prefix = tuple[int, ...]
Ends = tuple[float, float]
"""Log probability of a prefix's paths that end in a blank, and of those that end in its last symbol."""


@dataclass(frozen=True)
class BeamOptions:
    """Width and weights of the search. Weights were chosen on the recipe's validation set."""

    width: int = 16
    """Prefixes kept after each frame."""
    min_logprob: float = -10.0
    """Symbols below this in a frame are not tried there."""
    word_weight: float = 1.2
    word_bonus: float = 4.5
    """Added per word, or longer texts, which have more words to pay for, would always lose."""
    sure_blank_logprob: float = -0.002
    """A frame whose blank is above this says nothing: every prefix stays, at a fraction of the cost."""
    unknown_penalty: float = 20.0
    """Taken once from a word as soon as no known word begins like it."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a prefix says: its words' score and the word it is in."""

    score: float
    before: str
    partial: str


def beam_search(logprobs_TV: NDArray[np.float32], bigrams: Bigrams, options: BeamOptions) -> list[int]:
    """Find the most probable symbols of one utterance.

    Takes log probabilities, float32, shape (T, V). Returns symbol ids without blanks, words parted by `WORD_BREAK`.
    """
    reader = _Reader(bigrams, options)
    readings: dict[Prefix, _Reading] = {(): _Reading(0.0, START, "")}
    beams: dict[Prefix, Ends] = {(): (0.0, LOG_ZERO)}
    for logprobs_V in logprobs_TV:
        blank_logprob = float(logprobs_V[BLANK])
        if blank_logprob > options.sure_blank_logprob:
            beams = {prefix: (_total(ends) + blank_logprob, LOG_ZERO) for prefix, ends in beams.items()}
            continue
        tried = np.flatnonzero(logprobs_V > options.min_logprob)
        frame = [(int(symbol), float(logprobs_V[symbol])) for symbol in tried]
        grown = _grow(beams, frame, blank_logprob)
        for prefix in grown:
            if prefix not in readings:
                readings[prefix] = reader.extend(readings[prefix[:-1]], prefix[-1])
        ranked = sorted(grown, key=lambda prefix: _total(grown[prefix]) + readings[prefix].score, reverse=True)
        beams = {prefix: grown[prefix] for prefix in ranked[: options.width]}
        readings = {prefix: readings[prefix] for prefix in beams}
    best: Prefix = max(beams, key=lambda prefix: _total(beams[prefix]) + reader.finish(readings[prefix]))
    return list(best)


class _Reader:
    """Scores prefixes by the words in them."""

    def __init__(self, bigrams: Bigrams, options: BeamOptions) -> None:
        self._bigrams = bigrams
        self._options = options

    def extend(self, reading: _Reading, symbol: int) -> _Reading:
        """Read one more symbol."""
        if symbol == WORD_BREAK:
            if not reading.partial:
                return _Reading(LOG_ZERO, reading.before, "")
            return _Reading(self.finish(reading), reading.partial, "")
        partial = reading.partial + SYMBOLS[symbol].lower()
        # A word that is unknown already has paid.
        was_known = not reading.partial or reading.partial in self._bigrams.prefixes
        is_new = was_known and partial not in self._bigrams.prefixes
        return _Reading(reading.score - self._options.unknown_penalty * is_new, reading.before, partial)

    def finish(self, reading: _Reading) -> float:
        """Score a prefix as if its word ended here."""
        if not reading.partial:
            return reading.score
        logprob = self._bigrams.logprob(reading.before, reading.partial)
        return reading.score + self._options.word_weight * logprob + self._options.word_bonus


def _grow(beams: dict[Prefix, Ends], frame: list[tuple[int, float]], blank_logprob: float) -> dict[Prefix, Ends]:
    """Let every prefix pass one frame: stay by a blank, stay by repeating its last symbol, or grow by a symbol."""
    grown: dict[Prefix, Ends] = {}
    for prefix, (ends_blank, ends_symbol) in beams.items():
        total = _add(ends_blank, ends_symbol)
        _put(grown, prefix, total + blank_logprob, LOG_ZERO)
        last = prefix[-1] if prefix else BLANK
        for symbol, logprob in frame:
            if symbol == BLANK:
                continue
            if symbol == last:
                # A repetition is the same symbol held; a second one needs a blank between.
                _put(grown, prefix, LOG_ZERO, ends_symbol + logprob)
                _put(grown, (*prefix, symbol), LOG_ZERO, ends_blank + logprob)
            else:
                _put(grown, (*prefix, symbol), LOG_ZERO, total + logprob)
    return {prefix: ends for prefix, ends in grown.items() if _total(ends) > LOG_ZERO}


def _put(grown: dict[Prefix, Ends], prefix: Prefix, ends_blank: float, ends_symbol: float) -> None:
    held_blank, held_symbol = grown.get(prefix, (LOG_ZERO, LOG_ZERO))
    grown[prefix] = (_add(held_blank, ends_blank), _add(held_symbol, ends_symbol))


def _total(ends: Ends) -> float:
    return _add(*ends)


def _add(left: float, right: float) -> float:
    """Add probabilities given as logarithms."""
    if left < right:
        left, right = right, left
    return left if right == LOG_ZERO else left + math.log1p(math.exp(right - left))
