"""A lake as labelled speech: what people heard (`annotations.py`) in the recordings that it knows.

The sound of an utterance is the stretch that the person labelled. Its words and its speaker are those of the hearing
that is shown now: of the utterance with the same times, else of the one that covers most of it. Where corpora show
several hearings of one recording, it is the one that most labels were given in: a speaker's id means a person in one
hearing alone.
"""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from mmer_ray.errors import UsageError
from mmer_ray.lake.card import CARD_NAME
from mmer_ray.lake.queries import LakeReader
from mmer_ray.lake.store import Lake
from mmer_ray.sources.uris import is_remote, is_row, local_path
from mmer_ray.tables import Row
from mmer_ray.training.corpora.assembly import assemble, shares_of
from mmer_ray.training.corpora.classes import FOUR, Classes, in_order
from mmer_ray.training.corpora.reading import read_corpus
from mmer_ray.training.utterances import Corpus, Sound, Utterance

DIMENSIONS = ("valence", "arousal", "dominance")
MIN_COVERED = 0.5
"""Of a labelled stretch: an utterance that covers less of it is another one."""
MAX_CHANNELS = 2
"""More are mixed to one when they are heard."""
UNNAMED = (
    "{} of {} speakers have no name: each counts as another one in every recording, so that one person may be in "
    "training and in test. Name them: mmer speakers rename"
)
NO_MAJORITY, NOT_HEARD = "no majority of the raters", "no utterance of the hearing of now"
LABELS = f"""
    SELECT DISTINCT ON (recording_id, heard_key, utterance_idx, rater) recording_id, heard_key, channel, start_ms,
        end_ms, rater, label, {", ".join(DIMENSIONS)}, annotated_at
    FROM annotations WHERE label IS NOT NULL ORDER BY recording_id, heard_key, utterance_idx, rater, corpus
"""
SPOKEN = """
    SELECT DISTINCT ON (recording_id, heard_key, utterance_idx) recording_id, heard_key, utterance_idx, channel,
        start_ms, end_ms, speaker, speaker_name, text
    FROM utterances SEMI JOIN annotations USING (recording_id) ORDER BY recording_id, heard_key, utterance_idx, corpus
"""
FILES = """
    SELECT DISTINCT ON (recording_id) recording_id, uri, channels
    FROM recordings SEMI JOIN annotations USING (recording_id) WHERE status = 'scored'
    ORDER BY recording_id, is_copy, corpus, uri
"""


class _Place(NamedTuple):
    """A stretch of a recording."""

    recording_id: str
    channel: int
    start_ms: int
    end_ms: int


@dataclass
class _Labelled:
    """A stretch with its labels."""

    place: _Place
    heard: Row | None
    """The utterance that it is."""
    by_rater: dict[str, Row] = field(default_factory=dict)
    """Of each rater the newest label."""

    def is_about(self, place: _Place, heard: Row | None) -> bool:
        """Whether another stretch is the same utterance: another hearing may have moved its borders."""
        shorter_ms = min(one.end_ms - one.start_ms for one in (self.place, place))
        return (
            self.heard is heard
            and self.place.channel == place.channel
            and _covered_ms(self.place, place.start_ms, place.end_ms) >= MIN_COVERED * shorter_ms
        )


def corpus_at(place: Path, kind: str | None = None, classes: Classes = "four") -> Corpus:
    """Read a lake's labels, or a corpus in any other layout (`training.corpora.reading.read_corpus`)."""
    if kind is None and (place / CARD_NAME).is_file():
        return read_labelled(Lake(str(place), to_read=True), classes)
    return read_corpus(place, kind, classes)


def read_labelled(lake: Lake, classes: Classes = "four") -> Corpus:
    """Read what people labelled. With `four` classes, other labels are left out and counted.

    The label is what most raters heard; the shares are those of all. A speaker whom nobody has named (`mmer speakers
    rename`) is another one in each recording, which the corpus's notes say. Raises `UsageError` where nothing is
    labelled, or where a sound does not lie on a disk, and `LakeError` where there is no lake.
    """
    lake.require_existing()
    reader = LakeReader(lake)
    try:
        labels, spoken, files = (reader.rows(query, {}) for query in (LABELS, SPOKEN, FILES))
    finally:
        reader.close()
    if not labels:
        raise UsageError(f"nothing is labelled in {lake.address}: bring labels in with mmer lake annotate")
    known = FOUR if classes == "four" else in_order({row["label"] for row in labels})
    said = _one_hearing_each(spoken, labels)
    by_file = {row["recording_id"]: row for row in files}
    left_out: Counter[str] = Counter()
    utterances = []
    for one in _labelled(labels, said):
        made = NOT_HEARD if one.heard is None else _utterance(one, one.heard, by_file[one.place.recording_id], known)
        if isinstance(made, str):
            left_out[made] += 1
        else:
            utterances.append(made)
    corpus = assemble(Path(lake.address).name, utterances, known, left_out)
    return replace(corpus, notes=_notes(corpus))


def _notes(corpus: Corpus) -> tuple[str, ...]:
    speakers = {one.speaker for one in corpus.utterances}
    unnamed = {one.speaker for one in corpus.utterances if one.speaker.startswith(f"{one.dialogue}/")}
    return (UNNAMED.format(len(unnamed), len(speakers)),) if unnamed else ()


def _utterance(labelled: _Labelled, heard: Row, file: Row, labels: Sequence[str]) -> Utterance | str:
    """The utterance, or why there is none."""
    place, rows = labelled.place, list(labelled.by_rater.values())
    votes = Counter(row["label"] for row in rows)
    (label, most), *others = votes.most_common()
    if others and others[0][1] == most:
        return NO_MAJORITY
    if label not in labels:
        return f"label {label}"
    return Utterance(
        utterance_id=f"{place.recording_id}/{place.channel}/{place.start_ms}-{place.end_ms}",
        sound=Sound(_path(file["uri"]), place.start_ms, place.end_ms, place.channel if _has_channels(file) else None),
        speaker=heard["speaker_name"] or f"{place.recording_id}/{heard['speaker']}",
        label=label,
        text=heard["text"],
        shares=shares_of({name: float(votes[name]) for name in labels}),
        dimensions=_means(rows),
        dialogue=place.recording_id,
        read_from=f"annotations of {file['uri']}",
    )


def _labelled(labels: Sequence[Row], said: Mapping[str, Sequence[Row]]) -> list[_Labelled]:
    """The labelled stretches, in order; where labels of one utterance have other times, the newest label's hold."""
    found: defaultdict[str, list[_Labelled]] = defaultdict(list)
    oldest = datetime.min.replace(tzinfo=UTC)
    for row in sorted(labels, key=lambda row: row["annotated_at"] or oldest, reverse=True):
        place = _place(row)
        heard = _heard(place, said.get(place.recording_id, ()))
        there = found[place.recording_id]
        stretch = next((one for one in there if one.is_about(place, heard)), None)
        if stretch is None:
            there.append(stretch := _Labelled(place, heard))
        stretch.by_rater.setdefault(row["rater"], row)
    return sorted((one for some in found.values() for one in some), key=lambda one: one.place)


def _one_hearing_each(spoken: Sequence[Row], labels: Sequence[Row]) -> dict[str, list[Row]]:
    """Recording -> its utterances in the hearing that most labels were given in, of those that are shown."""
    num_labels = Counter((row["recording_id"], row["heard_key"]) for row in labels)
    hearings: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in spoken:
        hearings[row["recording_id"], row["heard_key"]].append(row)
    return {key[0]: hearings[key] for key in sorted(hearings, key=lambda key: (num_labels[key], key))}


def _heard(place: _Place, spoken: Sequence[Row]) -> Row | None:
    """The utterance of now that a labelled stretch is."""
    same = [row for row in spoken if row["channel"] == place.channel]
    best = max(same, key=lambda row: (_place(row) == place, _covered_by(place, row)), default=None)
    if best is None or _covered_by(place, best) < MIN_COVERED * (place.end_ms - place.start_ms):
        return None
    return best


def _covered_by(place: _Place, row: Row) -> int:
    return _covered_ms(place, row["start_ms"], row["end_ms"])


def _covered_ms(place: _Place, start_ms: int, end_ms: int) -> int:
    return max(0, min(place.end_ms, end_ms) - max(place.start_ms, start_ms))


def _place(row: Row) -> _Place:
    return _Place(row["recording_id"], row["channel"], row["start_ms"], row["end_ms"])


def _means(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float, float] | None:
    """Means over the raters who gave them."""
    given = [[row[name] for row in rows if row[name] is not None] for name in DIMENSIONS]
    if not any(given):
        return None
    valence, arousal, dominance = (fmean(some) if some else float("nan") for some in given)
    return valence, arousal, dominance


def _has_channels(file: Row) -> bool:
    return file["channels"] is not None and 1 < file["channels"] <= MAX_CHANNELS


def _path(uri: str) -> Path:
    if is_remote(uri) or is_row(uri):
        raise UsageError(f"{uri} does not lie on a disk as a file: training reads files; copy it and score the copy")
    return Path(os.fsdecode(local_path(uri)))
