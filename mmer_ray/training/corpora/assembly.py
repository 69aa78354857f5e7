"""From utterances to a corpus: what holds for every layout is checked here."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mmer_ray.errors import UsageError
from mmer_ray.training.utterances import Corpus, Utterance

POINTER_START = b"version https://git-lfs"
MAX_POINTER_BYTES = 1024
"""A file of Git LFS that was not fetched is a few lines of text."""


def assemble(
    name: str, utterances: Iterable[Utterance], labels: Sequence[str], left_out: Mapping[str, int] | None = None
) -> Corpus:
    """Put a corpus together.

    Raises `UsageError` where there is no utterance, where an id comes twice, and where a sound is not there.
    """
    kept = tuple(utterances)
    if not kept:
        raise UsageError(f"{name} holds no utterance with one of the labels {', '.join(labels)}")
    _require_unique(kept)
    for one in kept:
        assert one.label is None or one.label in labels, one
        assert one.shares is None or math.isclose(sum(one.shares.values()), 1, abs_tol=1e-6), one
    sizes = _sizes(kept)
    lines = [_facts(one, sizes[one.sound.path]) for one in kept]
    digest = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
    return Corpus(name, kept, tuple(labels), digest, dict(left_out or {}))


def shares_of(votes: Mapping[str, float]) -> dict[str, float] | None:
    """Turn label -> votes into label -> share; None where nobody voted for any."""
    total = sum(votes.values())
    return {label: count / total for label, count in votes.items()} if total else None


def _require_unique(utterances: Sequence[Utterance]) -> None:
    times = Counter(one.utterance_id for one in utterances)
    if repeated := [one for one in utterances if times[one.utterance_id] > 1]:
        places = ", ".join(one.read_from for one in repeated if one.utterance_id == repeated[0].utterance_id)
        raise UsageError(f"utterance {repeated[0].utterance_id} is there more than once ({places}): keep one of them")


def _sizes(utterances: Sequence[Utterance]) -> dict[Path, int]:
    """Sound file -> bytes."""
    sizes: dict[Path, int] = {}
    absent: dict[Path, Utterance] = {}
    for one in utterances:
        path = one.sound.path
        if path in sizes or path in absent:
            continue
        try:
            sizes[path] = path.stat().st_size
        except FileNotFoundError:
            absent[path] = one
    if absent:
        path, one = next(iter(absent.items()))
        more = f" ({len(absent)} such files)" if len(absent) > 1 else ""
        raise UsageError(f"{one.read_from} speaks of {path}, which is not there{more}: complete the corpus")
    smallest = min(sizes, key=lambda path: sizes[path])
    if sizes[smallest] <= MAX_POINTER_BYTES and smallest.read_bytes().startswith(POINTER_START):
        raise UsageError(f"{smallest} is a pointer of Git LFS, not the sound: run git lfs pull in the corpus's folder")
    return sizes


def _facts(one: Utterance, size_bytes: int) -> str:
    sound = one.sound
    dimensions = None if one.dimensions is None else [None if math.isnan(x) else x for x in one.dimensions]
    shares = None if one.shares is None else sorted(one.shares.items())
    place = [sound.start_ms, sound.end_ms, sound.channel, size_bytes]
    return json.dumps([one.utterance_id, one.speaker, one.label, shares, dimensions, one.text, place])
