"""Folds over speakers: whoever is heard in a test is never heard in its training, nor chooses among models.

A protocol says who is in which fold; each fold has a development set of its own speakers, on which epochs, thresholds
and temperatures are chosen. Protocols of IEMOCAP, as published: Antoniou et al. 2023 (arXiv 2304.00860).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mmer_ray.errors import UsageError
from mmer_ray.training import emobox
from mmer_ray.training.datasets import LabelledClip
from mmer_ray.training.leaks import refuse_shared_speakers
from mmer_ray.training.utterances import Corpus, Sex, Split, Utterance

NUM_FOLDS = 5
DEVELOPMENT_FOLDS = 10
"""Where one speaker is tested, about a tenth of the others are the development set."""
NUM_SESSIONS = 5
"""Of IEMOCAP, whose protocols the names with `loso5`, `loso10` and `session5` are."""
KFOLD = re.compile(r"kfold(?P<num_folds>\d+)?")
PARTITIONS = re.compile(r"partitions(?:-(?P<test>test\d?))?")


class Fold(NamedTuple):
    """One split of a set of clips."""

    train: list[LabelledClip]
    test: list[LabelledClip]


def protocol(name: str, corpus: Corpus, seed: int = 0) -> list[Split]:
    """Deal a corpus by a named protocol; `seed` decides only what the protocol leaves open.

    - `kfold`, `kfold10`, ..: speakers dealt to folds; test one fold, develop on the next, train on the others.
    - `loso`: test one speaker, develop on about a tenth of the others.
    - `loso5`: test one of five sessions, develop on the next, train on three.
    - `loso5-4train`: test one of five sessions, develop on one speaker of the other four, train on their seven others.
    - `loso10`: test one of ten speakers, develop on the partner in the same dialogues, train on eight.
    - `session5`: test session 5, develop on session 1, train on 2 to 4.
    - `partitions`, `partitions-test2`: the corpus's own train, development and test part (`test`, else `test1`).
    - `emobox-..`: as EmoBox deals the corpus (`emobox.py`).

    Raises `UsageError` where a protocol is not known or does not fit the corpus.
    """
    if (kfold := KFOLD.fullmatch(name)) is not None:
        return _kfold(corpus, int(kfold["num_folds"] or NUM_FOLDS), seed)
    if (partitions := PARTITIONS.fullmatch(name)) is not None:
        return [_partitions(corpus, partitions["test"])]
    if name.startswith(emobox.PREFIX):
        return _emobox(name, corpus, seed)
    if name not in PROTOCOLS:
        known = ["kfold", "kfold<N>", "partitions", "partitions-test<N>", *PROTOCOLS, *emobox.NAMES]
        raise UsageError(f"{name} is no protocol: the protocols are {', '.join(known)}")
    return PROTOCOLS[name](corpus, seed)


def deal_speakers(sexes: Mapping[str, Sex | None], num_folds: int, seed: int) -> list[frozenset[str]]:
    """Deal speakers to folds: each to exactly one, and of each sex, as of all, at most one more here than there.

    Raises `UsageError` where a fold would have nobody to test or nobody to train on.
    """
    if not 2 <= num_folds <= len(sexes):
        raise UsageError(f"{num_folds} folds of {len(sexes)} speakers: the folds must be 2..{len(sexes)}")
    rng = np.random.default_rng(seed)
    order: list[str] = []
    for sex in sorted(set(sexes.values()), key=str):
        order += rng.permutation(sorted(name for name, theirs in sexes.items() if theirs == sex)).tolist()
    return [frozenset(order[first::num_folds]) for first in range(num_folds)]


def split(clips: Sequence[LabelledClip], test_speakers: frozenset[str]) -> Fold:
    """Part clips by whether their speaker is one of the fold's."""
    train = [clip for clip in clips if clip.speaker not in test_speakers]
    return Fold(train, [clip for clip in clips if clip.speaker in test_speakers])


def sexes_of(utterances: Iterable[Utterance]) -> dict[str, Sex | None]:
    """Name every speaker and, where known, the sex."""
    return {one.speaker: one.sex for one in utterances}


def _kfold(corpus: Corpus, num_folds: int, seed: int) -> list[Split]:
    if num_folds < 3:
        raise UsageError(f"kfold{num_folds}: one fold is tested and one chooses, so that there must be at least 3")
    folds = deal_speakers(sexes_of(corpus.utterances), num_folds, seed)
    return [
        _split(corpus, f"Fold {number + 1}", test, folds[(number + 1) % num_folds]) for number, test in enumerate(folds)
    ]


def _emobox(name: str, corpus: Corpus, seed: int) -> list[Split]:
    emobox.require_known(name, corpus)
    if name == emobox.PARTITIONED:
        return [_partitions(corpus, "test1")]
    return [
        _split(corpus, f"Fold {number}", test, _some_of(corpus, test, NUM_FOLDS, seed))
        for number, test in enumerate(emobox.test_speakers(name, corpus), start=1)
    ]


def _leave_one_speaker_out(corpus: Corpus, seed: int) -> list[Split]:
    speakers = sorted(sexes_of(corpus.utterances))
    if len(speakers) < 3:
        raise UsageError(
            f"loso needs 3 speakers or more, to test, to choose and to learn from: {corpus.name} has {len(speakers)}"
        )
    return [
        _split(corpus, f"Speaker {one}", {one}, _some_of(corpus, {one}, DEVELOPMENT_FOLDS, seed)) for one in speakers
    ]


def _some_of(corpus: Corpus, test: Iterable[str], num_folds: int, seed: int) -> frozenset[str]:
    """One fold of the speakers that are not tested, of each sex about alike."""
    others = {name: sex for name, sex in sexes_of(corpus.utterances).items() if name not in test}
    return deal_speakers(others, min(num_folds, len(others)), seed)[0]


def _leave_one_session_out(corpus: Corpus, seed: int) -> list[Split]:
    sessions = _sessions(corpus)
    names = list(sessions)
    return [
        _split(corpus, name, sessions[name], sessions[names[(number + 1) % NUM_SESSIONS]])
        for number, name in enumerate(names)
    ]


def _four_train_sessions(corpus: Corpus, seed: int) -> list[Split]:
    sessions, rng = _sessions(corpus), np.random.default_rng(seed)
    splits = []
    for name, test in sessions.items():
        others = sorted(set().union(*sessions.values()) - test)
        splits.append(_split(corpus, name, test, {others[int(rng.integers(len(others)))]}))
    return splits


def _leave_one_of_ten_out(corpus: Corpus, seed: int) -> list[Split]:
    splits = []
    for name, pair in _sessions(corpus).items():
        if len(pair) != 2:
            raise UsageError(f"loso10 is for sessions of two speakers; {name} of {corpus.name} has {len(pair)}")
        splits += [_split(corpus, f"Speaker {one}", {one}, pair - {one}) for one in sorted(pair)]
    return splits


def _session_five(corpus: Corpus, seed: int) -> list[Split]:
    sessions = _sessions(corpus)
    first, *_, last = sessions
    return [_split(corpus, last, sessions[last], sessions[first])]


def _sessions(corpus: Corpus) -> dict[str, set[str]]:
    """Session -> its speakers, in the order of the sessions' names."""
    sessions: dict[str, set[str]] = {}
    for one in corpus.utterances:
        if one.session is not None:
            sessions.setdefault(one.session, set()).add(one.speaker)
    if len(sessions) != NUM_SESSIONS:
        raise UsageError(
            f"{corpus.name} has {len(sessions)} sessions, this protocol is for {NUM_SESSIONS} (IEMOCAP): "
            "take kfold or loso"
        )
    return dict(sorted(sessions.items()))


def _partitions(corpus: Corpus, test: str | None) -> Split:
    there = {one.partition for one in corpus.utterances} - {None}
    test = test or ("test" if "test" in there else "test1")
    if missing := [name for name in ("train", "development", test) if name not in there]:
        found = ", ".join(sorted(map(str, there))) or "none"
        raise UsageError(f"{corpus.name} has no partition {', '.join(missing)} (it has {found}): take kfold or loso")
    train, development, tested = (
        tuple(one for one in corpus.utterances if one.partition == name) for name in ("train", "development", test)
    )
    divided = Split(test, train, development, tested)
    refuse_shared_speakers(divided)
    return divided


def _split(corpus: Corpus, name: str, test: Iterable[str], development: Iterable[str]) -> Split:
    """The fold that tests some speakers, develops on some and trains on all others."""
    tested, chosen = frozenset(test), frozenset(development)
    everybody = corpus.utterances
    fold = Split(
        name,
        tuple(one for one in everybody if one.speaker not in tested | chosen),
        tuple(one for one in everybody if one.speaker in chosen),
        tuple(one for one in everybody if one.speaker in tested),
    )
    assert fold.train, fold.name
    assert fold.development, fold.name
    assert fold.test, fold.name
    return fold


PROTOCOLS: Mapping[str, Callable[[Corpus, int], list[Split]]] = {
    "loso": _leave_one_speaker_out,
    "loso5": _leave_one_session_out,
    "loso5-4train": _four_train_sessions,
    "loso10": _leave_one_of_ten_out,
    "session5": _session_five,
}
"""Protocols whose names have no number to choose."""
