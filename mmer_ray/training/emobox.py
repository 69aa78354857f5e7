"""The folds of EmoBox (Ma et al., Interspeech 2024), under its own names.

EmoBox has no development set but for MSP-Podcast: it draws a fifth of the training utterances at random, so that their
speakers are in both. Here a fifth of the training speakers is set aside instead; the test sets are EmoBox's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mmer_ray.errors import UsageError
from mmer_ray.training.corpora.classes import FOUR
from mmer_ray.training.utterances import Corpus

PREFIX = "emobox-"
RAVDESS_FOLDS: tuple[frozenset[str], ...] = tuple(
    frozenset(actors.split())
    for actors in (
        "01 11 20 21",
        "04 10 12 14",
        "08 09 19 23",
        "03 05 07 24",
        "02 15 16 18",
        "06 13 17 22",
    )
)
"""Actors tested in folds 1 to 6: the speakers of EmoBox's own lists of test files."""
SHARED_SPEAKERS: Mapping[str, str] = {
    "emobox-crema-d": "draws a quarter of the utterances at random, so that actors are in training and in test",
    "emobox-emodb": "draws a quarter of the utterances at random, so that actors are in training and in test",
    "emobox-meld": "is the published division, whose leading characters are in training and in test",
}
"""Protocols that are refused, and why."""


PARTITIONED = "emobox-msp-podcast"
"""The one that is a corpus's own partitions: Train, Development and Test1."""
NUM_CLASSES: Mapping[str, int] = {"emobox-iemocap": 4, "emobox-ravdess": 8, PARTITIONED: 8}
"""The classes that EmoBox's figures are of: four of IEMOCAP's, all of the others'."""


def require_known(name: str, corpus: Corpus) -> None:
    """Check that a protocol of EmoBox's is known and is for this corpus.

    Raises `UsageError`, also where EmoBox's folds share speakers between training and test.
    """
    if name in SHARED_SPEAKERS:
        raise UsageError(
            f"{name} is refused: EmoBox's fold of this corpus {SHARED_SPEAKERS[name]}. Take kfold or loso, which do not"
        )
    if name not in NAMES:
        raise UsageError(f"{name} is none of EmoBox's protocols that are known here: {', '.join(NAMES)}")
    if (wanted := name.removeprefix(PREFIX)) != corpus.name.lower():
        raise UsageError(f"{name} is for {wanted}, this corpus is {corpus.name}")
    if (num_classes := NUM_CLASSES[name]) != len(corpus.labels):
        classes = "four" if num_classes == len(FOUR) else "own"
        raise UsageError(
            f"{name} is of {num_classes} classes, not {len(corpus.labels)}: read the corpus with --classes {classes}"
        )


def test_speakers(name: str, corpus: Corpus) -> list[frozenset[str]]:
    """Who is tested in each fold, in EmoBox's order.

    Raises `UsageError` as `require_known`, and where speakers are missing from this copy of the corpus.
    """
    require_known(name, corpus)
    return _FOLDS[name](corpus)


def _iemocap(corpus: Corpus) -> list[frozenset[str]]:
    sessions: dict[str, set[str]] = {}
    for one in corpus.utterances:
        sessions.setdefault(one.session or "", set()).add(one.speaker)
    return [frozenset(sessions[session]) for session in sorted(sessions)]


def _ravdess(corpus: Corpus) -> list[frozenset[str]]:
    speakers = {one.speaker for one in corpus.utterances}
    if absent := sorted(frozenset().union(*RAVDESS_FOLDS) - speakers):
        raise UsageError(f"emobox-ravdess is of 24 actors; {', '.join(absent)} are not here: take kfold or loso")
    return list(RAVDESS_FOLDS)


_FOLDS: Mapping[str, Callable[[Corpus], list[frozenset[str]]]] = {
    "emobox-iemocap": _iemocap,
    "emobox-ravdess": _ravdess,
}
NAMES = (*_FOLDS, PARTITIONED)
