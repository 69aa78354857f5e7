"""What a test set shares with its training: speakers, dialogues, words.

Speakers are refused. The others are counted: corpora with a script say the same sentences everywhere, and a model of
text can learn them by heart, so that figures have to be read with these counts.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from mmer_ray.errors import UsageError
from mmer_ray.normalise import normalise
from mmer_ray.training.utterances import Split, Utterance

NEAR = 0.7
"""Two texts are near-equal from this multiset Jaccard index on: words in common, over all words of both."""
MIN_WORDS = 5
"""Of a test text that is looked up among near-equal ones: shorter ones ("I don't know") are alike by chance."""
MAX_NAMED = 10
_BRACKETED = re.compile(r"\[[^\]]*\]|\([^)]*\)")

Words = frozenset[tuple[str, int]]
"""A multiset of words: each with the number of its occurrence, from 0."""


@dataclass(frozen=True)
class LeakReport:
    """What was found in one fold, of the utterances of its test set."""

    fold: str
    num_test: int
    num_shared_dialogues: int
    """Test dialogues of which other utterances are in the training set."""
    num_development_dialogues: int
    """Test dialogues of which other utterances are in the development set."""
    num_texts: int
    """Test utterances with words."""
    equal_ids: frozenset[str]
    """Those whose words, or whose fixed sentence, are those of a training utterance."""
    num_long_texts: int
    """Test utterances of at least `MIN_WORDS` words."""
    near_ids: frozenset[str]
    """Those of them with near-equal words in training; equal ones are among them."""

    @property
    def seen_ids(self) -> frozenset[str]:
        """Test utterances whose text is seen in training, equal or nearly: what a breakdown parts by."""
        return self.equal_ids | self.near_ids

    def lines(self) -> list[str]:
        """Say what was found, a line for each count."""
        return [
            f"{self.fold}: {self.num_test} test utterances; no speaker is in training or development",
            f"  dialogues also in training: {self.num_shared_dialogues}, "
            f"in development: {self.num_development_dialogues}",
            f"  texts also in training: {_of(len(self.equal_ids), self.num_texts)}; "
            f"near-equal (multiset Jaccard >= {NEAR}, at least {MIN_WORDS} words): "
            f"{_of(len(self.near_ids), self.num_long_texts)}",
        ]


def check(split: Split) -> LeakReport:
    """Count what a fold's test set shares with its training set. Raises `UsageError` where a speaker is in both."""
    refuse_shared_speakers(split)
    test_dialogues = _dialogues(split.test)
    said = _texts(split.test)
    long = {one.utterance_id: words for one in split.test if len(words := words_of(one)) >= MIN_WORDS}
    known = set(_texts(split.train).values())
    near = _near_equal(set(long.values()), {words_of(one) for one in split.train})
    return LeakReport(
        fold=split.name,
        num_test=len(split.test),
        num_shared_dialogues=len(test_dialogues & _dialogues(split.train)),
        num_development_dialogues=len(test_dialogues & _dialogues(split.development)),
        num_texts=len(said),
        equal_ids=frozenset(name for name, text in said.items() if text in known),
        num_long_texts=len(long),
        near_ids=frozenset(name for name, words in long.items() if words in near),
    )


def refuse_shared_speakers(split: Split) -> None:
    """Raise `UsageError`, by name, where a speaker is in two of the three parts."""
    parts = {"training": split.train, "development": split.development, "test": split.test}
    speakers = {name: {one.speaker for one in part} for name, part in parts.items()}
    for first, second in combinations(parts, 2):
        if shared := sorted(speakers[first] & speakers[second]):
            named = ", ".join(shared[:MAX_NAMED]) + (", .." if len(shared) > MAX_NAMED else "")
            raise UsageError(
                f"{split.name}: {len(shared)} speakers are in {first} and in {second} ({named}): "
                "take a protocol that parts them, kfold or loso"
            )


def words_of(utterance: Utterance) -> Words:
    """The words of a transcript, lower-case, without marks and without what stands in brackets."""
    times: Counter[str] = Counter()
    words = []
    for word in normalise(_BRACKETED.sub(" ", utterance.text or ""), None).split():
        words.append((word, times[word]))
        times[word] += 1
    return frozenset(words)


def _texts(utterances: Iterable[Utterance]) -> dict[str, str]:
    """Id -> comparable text, or the fixed sentence's name where there is no text; those without either are left out."""
    texts = {}
    for one in utterances:
        text = normalise(_BRACKETED.sub(" ", one.text or ""), None)
        if text or (one.text is None and one.sentence is not None):
            texts[one.utterance_id] = text or f"sentence {one.sentence}"
    return texts


def _near_equal(wanted: set[Words], known: set[Words]) -> set[Words]:
    """Those of the wanted that have a near-equal one among the known.

    Of n words, at least `NEAR` times n must be in common; so of the rarest ones, as many as may miss and one more, one
    must be. Only what shares that one is compared (prefix filtering: Chaudhuri, Ganti and Kaushik, ICDE 2006).
    """
    frequency = Counter(word for words in known for word in words)
    holders: dict[tuple[str, int], list[Words]] = defaultdict(list)
    for words in known:
        for word in words:
            holders[word].append(words)
    found = set()
    for words in wanted:
        num_misses = len(words) - math.ceil(NEAR * len(words) - 1e-9)
        rarest = sorted(words, key=lambda word: (frequency[word], word))[: num_misses + 1]
        if any(_jaccard(words, other) >= NEAR for word in rarest for other in holders[word]):
            found.add(words)
    return found


def _jaccard(one: Words, other: Words) -> float:
    num_common = len(one & other)
    return num_common / (len(one) + len(other) - num_common)


def _dialogues(utterances: Sequence[Utterance]) -> set[str]:
    return {one.dialogue for one in utterances if one.dialogue is not None}


def _of(count: int, total: int) -> str:
    return f"{count} of {total} ({count / total:.1%})" if total else "0 of 0"
