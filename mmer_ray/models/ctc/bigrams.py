"""A bigram language model with interpolated Kneser-Ney smoothing.

Source: Chen and Goodman 1999, "An empirical study of smoothing techniques for language modeling", section 3, with one
fixed discount. Stored as the counts it is made of.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from mmer_ray.errors import PreflightError

FILE_NAME = "word_pairs.json"
"""Beside the weights of a transcriber."""
START = "<s>"
DISCOUNT = 0.75
"""Taken from each pair's count and given to pairs that were not seen."""
UNSEEN_WORD_LOGPROB = math.log(1e-5)
"""Of a word that training never saw: rare, not impossible."""


@dataclass(frozen=True)
class Bigrams:
    """Log probability of a word after another, over lower-case words."""

    counts: dict[str, dict[str, int]]
    """Word (or `START`) -> next word -> how often."""
    prefixes: frozenset[str] = field(init=False)
    """Every beginning of a known word, the whole words among them."""
    _continuations: dict[str, int] = field(init=False)
    """Word -> number of different words it follows: Kneser-Ney's lower order."""
    _num_pairs: int = field(init=False)
    _totals: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        followed = Counter(word for following in self.counts.values() for word in following)
        prefixes = {word[:length] for word in followed for length in range(1, len(word) + 1)}
        object.__setattr__(self, "prefixes", frozenset(prefixes))
        object.__setattr__(self, "_continuations", dict(followed))
        object.__setattr__(self, "_num_pairs", sum(followed.values()))
        object.__setattr__(self, "_totals", {word: sum(after.values()) for word, after in self.counts.items()})

    def logprob(self, before: str, word: str) -> float:
        """Natural logarithm of the probability of `word` after `before`."""
        continuations = self._continuations.get(word)
        if continuations is None:
            return UNSEEN_WORD_LOGPROB
        lower = continuations / self._num_pairs
        following = self.counts.get(before)
        if following is None:
            return math.log(lower)
        total = self._totals[before]
        kept = max(following.get(word, 0) - DISCOUNT, 0.0) / total
        return math.log(kept + DISCOUNT * len(following) / total * lower)


def count_bigrams(texts: Iterable[str]) -> Bigrams:
    """Count the pairs of lower-case texts, words parted by spaces."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for text in texts:
        words = [START, *text.split()]
        for before, word in pairwise(words):
            counts[before][word] += 1
    return Bigrams({before: dict(sorted(counts[before].items())) for before in sorted(counts)})


def save(bigrams: Bigrams, folder: Path) -> None:
    """Write the counts beside a transcriber's weights."""
    (folder / FILE_NAME).write_text(json.dumps(bigrams.counts, separators=(",", ":")) + "\n", encoding="utf-8")


def load(folder: Path) -> Bigrams | None:
    """Read the counts of a transcriber's folder; None where it has none. Raises `PreflightError` on damaged ones."""
    path = folder / FILE_NAME
    if not path.exists():
        return None
    try:
        return Bigrams(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, AttributeError) as exc:
        raise PreflightError(f"{path} is damaged: {exc}; install the model again") from exc
