"""Parts of a test set that should be looked at by themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from mmer_ray.normalise import normalise
from mmer_ray.training.utterances import Split, Utterance

SHORT_WORDS = 5
"""An utterance of fewer words is short: those are repeated by chance, longer ones because a script is."""
LIKE = 0.7
"""Multiset Jaccard similarity from which two transcripts are nearly equal."""

SEEN, NEARLY_SEEN, UNSEEN = "seen in training", "nearly equal to one seen", "not seen in training"
Grouping = Callable[[Utterance], str | None]


def groupings(splits: Mapping[str, Split], folds: Mapping[str, str]) -> dict[str, Grouping]:
    """What parts utterances -> which part one is in, None where that is not known.

    Takes the splits by their names and each utterance's fold by its id. Transcripts are compared where the splits of
    all folds are given.
    """
    found: dict[str, Grouping] = {
        "style": lambda one: one.style,
        "length": _length,
        "sex": lambda one: one.sex,
        "session": lambda one: one.session,
    }
    if splits and set(folds.values()) <= set(splits):
        transcripts = {name: Transcripts(split.train) for name, split in splits.items()}
        found["transcript"] = lambda one: transcripts[folds[one.utterance_id]].kind_of(one)
    return found


def words_of(text: str) -> list[str]:
    """The words that count: lower-case, without punctuation."""
    return normalise(text, None).split()


class Transcripts:
    """What was said in training."""

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        said = {tuple(words_of(one.text)) for one in utterances if one.text}
        self._said = said
        self._long = [Counter(words) for words in said if len(words) >= SHORT_WORDS]
        self._holders: dict[str, list[int]] = {}
        for index, words in enumerate(self._long):
            for word in words:
                self._holders.setdefault(word, []).append(index)

    def kind_of(self, utterance: Utterance) -> str | None:
        """Whether its words were said in training; None without words."""
        words = words_of(utterance.text or "")
        if not words:
            return None
        if tuple(words) in self._said:
            return SEEN
        return NEARLY_SEEN if self._is_near(Counter(words)) else UNSEEN

    def _is_near(self, words: Counter[str]) -> bool:
        if words.total() < SHORT_WORDS:
            return False
        shared: Counter[int] = Counter()
        for word, num in words.items():
            for index in self._holders.get(word, ()):
                shared[index] += min(num, self._long[index][word])
        return any(num / (words.total() + self._long[index].total() - num) >= LIKE for index, num in shared.items())


def _length(utterance: Utterance) -> str | None:
    if utterance.text is None:
        return None
    return (
        f"under {SHORT_WORDS} words" if len(words_of(utterance.text)) < SHORT_WORDS else f"{SHORT_WORDS} words or more"
    )
