"""A start and an end for every word, for formats that have no word without them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mmer_ray.records import Utterance


class TimedWord(NamedTuple):
    """A word with both times, in seconds from the start of the recording."""

    word: str
    start_s: float
    end_s: float
    p: float | None
    """None where the utterance had a text and no words."""


def timed_words(one: Utterance) -> list[TimedWord]:
    """The words of an utterance, or those of its text where it has none, each with times.

    Words without times share evenly the gap between the timed words around them, or the utterance's border. A word
    without an end ends where it starts.
    """
    timed: list[TimedWord] = []
    waiting: list[tuple[str, float | None]] = [] if one.words else [(word, None) for word in one.text.split()]
    free_from_s = one.start_s
    for word in one.words:
        if word.start_s is None:
            waiting.append((word.word, word.p))
            continue
        timed += _spread(waiting, free_from_s, word.start_s)
        waiting = []
        free_from_s = word.start_s if word.end_s is None else word.end_s
        timed.append(TimedWord(word.word, word.start_s, free_from_s, word.p))
    return [*timed, *_spread(waiting, free_from_s, one.end_s)]


def _spread(words: Sequence[tuple[str, float | None]], start_s: float, end_s: float) -> Iterator[TimedWord]:
    step_s = max(end_s - start_s, 0.0) / max(len(words), 1)
    for index, (word, p) in enumerate(words):
        yield TimedWord(word, start_s + index * step_s, start_s + (index + 1) * step_s, p)
