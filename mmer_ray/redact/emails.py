"""E-mail addresses, written and spoken: "anna@example.com", "anna dot miller at example dot com"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mmer_ray.redact.numbers import is_number
from mmer_ray.redact.passage import Passage, Span

_WRITTEN = re.compile(r"[^\s@]+\s?@\s?[^\s@]+")
"""More than RFC 5322 allows: whatever has an @ inside it."""
_AT = frozenset(["at", "ät", "klammeraffe"])
_DOTS = frozenset(["dot", "punkt", "point"])
_JOINING = _DOTS | {"underscore", "dash", "hyphen", "minus", "plus", "unterstrich", "bindestrich", "strich"}
_MAX_HOST_WORDS = 4
"""Words between "at" and the first "dot", as in "at my old company dot com"."""
_MIN_ENDING_CHARS, _MAX_ENDING_CHARS = 2, 24


def emails(passage: Passage) -> Iterator[Span]:
    """Addresses. Of a spoken one, the word before "at" is its name, with what "dot" and the like join to it, and
    letters and numbers that are said one by one."""
    for found in _WRITTEN.finditer(passage.text):
        yield Span(found.start(), found.end(), "EMAIL")
    for at, token in enumerate(passage.tokens):
        if token.word in _AT and at > 0 and (end := _host_end(passage, at + 1)) is not None:
            start = passage.tokens[_name_start(passage, at - 1)].start
            yield Span(start, passage.tokens[end - 1].end, "EMAIL")


def _host_end(passage: Passage, first: int) -> int | None:
    """One past the last token of the host that begins at `first`; None where none does."""
    tokens, end = passage.tokens, None
    at = first
    while at + 1 < len(tokens) and at - first < _MAX_HOST_WORDS:
        following = _after_dot(passage, at)
        if following is not None and _is_ending(tokens[following].word):
            end = at = following
            first = at
            end += 1
        elif end is not None:
            break
        else:
            at += 1
    return end


def _after_dot(passage: Passage, at: int) -> int | None:
    """The token behind the dot that follows the token at `at`, said or written; None where no dot does."""
    if passage.between(at) == ".":
        return at + 1
    if passage.tokens[at + 1].word in _DOTS and at + 2 < len(passage.tokens):
        return at + 2
    return None


def _is_ending(word: str) -> bool:
    return word.isalpha() and _MIN_ENDING_CHARS <= len(word) <= _MAX_ENDING_CHARS


def _name_start(passage: Passage, at: int) -> int:
    tokens = passage.tokens
    while at > 0:
        before = tokens[at - 1].word
        if before in _JOINING and at > 1:
            at -= 2
        elif passage.between(at - 1) in (".", "_", "-") or (_is_spelled(before) and _is_spelled(tokens[at].word)):
            at -= 1
        else:
            break
    return at


def _is_spelled(word: str) -> bool:
    return len(word) == 1 or is_number(word)
