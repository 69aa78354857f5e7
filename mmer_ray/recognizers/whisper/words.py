"""From a chunk's tokens and the times at which they begin to its words."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np

from mmer_ray.recognizers.interface import TimedWord

LONGEST_WORD_S = 1.4
"""Cross-attention gives a pause to the word beside it. Twice the longest median word that faster-whisper's rule for
the same purpose allows."""
LETTERS = "LMN"
"""Categories of Unicode that make a piece of text a word; all else is a mark."""
OPENING = ("Ps", "Pi")
"""Categories of brackets and quotation marks that belong to the word after them."""
SENTENCE_ENDS = tuple(".!?\N{IDEOGRAPHIC FULL STOP}\N{FULLWIDTH EXCLAMATION MARK}\N{FULLWIDTH QUESTION MARK}")


def timed_words(
    parts: Sequence[tuple[str, int]],
    starts_s: Sequence[float],
    probabilities: Sequence[float],
    duration_s: float,
    *,
    spaced: bool = True,
) -> list[TimedWord]:
    """Make the words of a chunk that lasts `duration_s`: sorted, apart, inside it.

    `parts`: words and marks, each with its number of tokens. `starts_s`: one for each token and one for the end.
    Marks join their word and take none of the time, which is mostly a pause. Where the language is `spaced`, what
    follows a mark without a space, as in "ice-cream" and "3.5", is of the same word.
    """
    words: list[TimedWord] = []
    opening, first, first_of_word = "", 0, 0
    for text, num_tokens in parts:
        end = first + num_tokens
        piece = text.strip()
        if any(unicodedata.category(char)[0] in LETTERS for char in piece):
            if spaced and words and not opening and text[0] == piece[0]:
                opening = words.pop().word
            else:
                first_of_word = first
            start_s, end_s = min(starts_s[first_of_word], duration_s), min(starts_s[end], duration_s)
            words.append(TimedWord(opening + piece, start_s, end_s, float(np.mean(probabilities[first_of_word:end]))))
            opening = ""
        elif piece and all(unicodedata.category(char) in OPENING for char in piece):
            opening += piece
        elif piece and words:
            words[-1] = words[-1]._replace(word=words[-1].word + piece)
        first = end
    return _without_pauses(words)


def _without_pauses(words: Sequence[TimedWord]) -> list[TimedWord]:
    """Shorten words that last longer than can be: at their start where a sentence begins, else at their end."""
    shortened: list[TimedWord] = []
    for word in words:
        if word.end_s - word.start_s > LONGEST_WORD_S:
            if not shortened or shortened[-1].word.endswith(SENTENCE_ENDS):
                word = word._replace(start_s=word.end_s - LONGEST_WORD_S)
            else:
                word = word._replace(end_s=word.start_s + LONGEST_WORD_S)
        shortened.append(word)
    return shortened
