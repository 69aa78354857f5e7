"""Parts of a test set that should be looked at by themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mmer_ray.training.leaks import MIN_WORDS, LeakReport, check, words_of
from mmer_ray.training.utterances import Split, Utterance

SEEN, NEARLY_SEEN, UNSEEN = "seen in training", "nearly equal to one seen", "not seen in training"
Grouping = Callable[[Utterance], str | None]


def groupings(splits: Mapping[str, Split], folds: Mapping[str, str]) -> dict[str, Grouping]:
    """What parts utterances -> which part one is in, None where that is not known.

    Takes the splits by their names and each utterance's fold by its id. Transcripts are told apart where the splits of
    all folds are given. Raises `UsageError` for a split whose parts share a speaker.
    """
    found: dict[str, Grouping] = {
        "style": lambda one: one.style,
        "length": _length,
        "sex": lambda one: one.sex,
        "session": lambda one: one.session,
    }
    if splits and set(folds.values()) <= set(splits):
        leaks = {name: check(split) for name, split in splits.items()}
        found["transcript"] = lambda one: _transcript(one, leaks[folds[one.utterance_id]])
    return found


def _transcript(utterance: Utterance, leaks: LeakReport) -> str | None:
    """Whether the words, or the corpus's fixed sentence, were said in training; None where neither is known."""
    if utterance.utterance_id in leaks.equal_ids:
        return SEEN
    if utterance.utterance_id in leaks.near_ids:
        return NEARLY_SEEN
    is_known = _num_words(utterance) or (utterance.text is None and utterance.sentence is not None)
    return UNSEEN if is_known else None


def _length(utterance: Utterance) -> str | None:
    if utterance.text is None:
        return None
    return f"under {MIN_WORDS} words" if _num_words(utterance) < MIN_WORDS else f"{MIN_WORDS} words or more"


def _num_words(utterance: Utterance) -> int:
    return len(words_of(utterance))
