"""Words that a user lists: whole words, compared as `normalise` writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mmer_ray.errors import UsageError
from mmer_ray.normalise import NORMALISERS, normalise
from mmer_ray.redact.passage import Passage, Span


def listed_words(lines: Sequence[str]) -> Callable[[Passage], Iterator[Span]]:
    """A rule that finds each of `lines`, a word or several in a row. Empty lines and those that begin with # are
    passed over. Raises `UsageError` where no line is left, and for a line that is not a word.
    """
    entries = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not entries:
        raise UsageError("the list of words holds no word; write one a line")
    for entry in entries:
        if not normalise(entry, None):
            raise UsageError(f"the list of words holds {entry!r}, which is no word")
    # A language may write a word in another way (Turkish I), and then cut it into characters.
    languages = (None, *NORMALISERS)
    wanted = {tuple(normalise(entry, language).split()) for entry in entries for language in languages}
    return _Listed(wanted)


class _Listed:
    def __init__(self, wanted: set[tuple[str, ...]]) -> None:
        self._lengths: dict[str, set[int]] = {}
        self._wanted = wanted
        for words in wanted:
            self._lengths.setdefault(words[0], set()).add(len(words))

    def __call__(self, passage: Passage) -> Iterator[Span]:
        words = [token.word for token in passage.tokens]
        for at, word in enumerate(words):
            for length in self._lengths.get(_bare(word), set()) | self._lengths.get(word, set()):
                some = words[at : at + length]
                if tuple(some) in self._wanted or (*some[:-1], _bare(some[-1])) in self._wanted:
                    yield Span(passage.tokens[at].start, passage.tokens[at + len(some) - 1].end, "WORD")


def _bare(word: str) -> str:
    """Without the ending of a possessive: "miller's" is "miller"."""
    return word.removesuffix("'s")
