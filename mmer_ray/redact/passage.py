"""What one speaker says, as one text: a number or an address may go on in the next utterance."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mmer_ray.normalise import KEPT_CATEGORIES, normalise

_BETWEEN = "\n"
_APOSTROPHES = "'\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}"


class Span(NamedTuple):
    """A stretch of a text that must not be published."""

    start: int
    """First character, counted from 0."""
    end: int
    """One past the last character."""
    kind: str
    """What it is: capital letters, as in `[NUMBER]`."""


class Token(NamedTuple):
    """A word of a passage."""

    start: int
    end: int
    word: str
    """As `normalise` writes it."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Texts in order, one after the other."""

    text: str
    lines: tuple[tuple[int, int], ...]
    """Start and end of each of the texts in `text`."""
    tokens: tuple[Token, ...]

    def between(self, index: int) -> str:
        """The characters between the token at `index` and the one after it."""
        return self.text[self.tokens[index].end : self.tokens[index + 1].start]


def passage(texts: Sequence[str], languages: Sequence[str | None] | None = None) -> Passage:
    """Put texts together; `languages` are their ISO 639-1 codes, None where one is not known."""
    lines: list[tuple[int, int]] = []
    tokens: list[Token] = []
    at = 0
    for text, language in zip(texts, languages or [None] * len(texts), strict=True):
        tokens += [Token(at + start, at + end, word) for start, end, word in _tokens(text, language)]
        lines.append((at, at + len(text)))
        at += len(text) + len(_BETWEEN)
    return Passage(_BETWEEN.join(texts), tuple(lines), tuple(tokens))


def _tokens(text: str, language: str | None) -> Iterator[Token]:
    """The words of a text. Where a language puts no spaces between words, each character is one."""
    start: int | None = None
    for at, char in enumerate([*text, " "]):
        if unicodedata.category(char)[0] in KEPT_CATEGORIES or (start is not None and char in _APOSTROPHES):
            start = at if start is None else start
        elif start is not None:
            yield from _normalised(text, start, at, language)
            start = None


def _normalised(text: str, start: int, end: int, language: str | None) -> Iterator[Token]:
    word = normalise(text[start:end], language)
    if " " not in word:
        if word:
            yield Token(start, end, word)
        return
    for at in range(start, end):
        if char := normalise(text[at], language):
            yield Token(at, at + 1, char)
