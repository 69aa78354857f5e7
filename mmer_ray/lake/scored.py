"""What a lake's emotion model answered about labelled speech: a scored lake held against gold labels.

An utterance with a gold label is a stretch of a file; the lake found utterances of its own in that file. The answer to
the stretch is the mean of the probabilities, and of the dimensions, of the lake's utterances that overlap it on its
channel, weighted by the milliseconds of overlap. A stretch of which they cover less than `MIN_COVERED` has no answer:
it is counted, not guessed. No such share is asked of a sound that goes on to the end of its file: silence around speech
is usual there.
"""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmer_ray.errors import UsageError
from mmer_ray.lake.queries import LakeReader
from mmer_ray.lake.stretch_words import Stretch, words_in
from mmer_ray.sources.uris import is_remote, is_row, local_path
from mmer_ray.tables import CLASSES, Row
from mmer_ray.training.predictions import Predictions
from mmer_ray.training.utterances import Corpus, Sound, Utterance

DIMENSIONS = ("valence", "arousal", "dominance")
NOT_IN_LAKE, NOT_SCORED, NO_ANSWER = "its file is not in the lake", "its file failed", "no answer of the model there"
MIN_COVERED = 0.5
"""Of a labelled stretch, by answered utterances: less is the border of another utterance."""
LEAST_PROBABILITY = 1e-6
_PROBABILITIES = [f"p_{name}" for name in (*CLASSES, "other")]
SCORERS = "SELECT DISTINCT scorer FROM emotions WHERE $corpus IS NULL OR corpus = $corpus ORDER BY scorer"
FILES = "SELECT uri, recording_id, status, channels FROM recordings WHERE $corpus IS NULL OR corpus = $corpus"
ANSWERS = f"""
    SELECT DISTINCT ON (recording_id, heard_key, utterance_idx) recording_id, heard_key, utterance_idx, channel, corpus,
        start_ms, end_ms, {", ".join(_PROBABILITIES)}, {", ".join(DIMENSIONS)}
    FROM utterances JOIN emotions USING (corpus, recording_id, heard_key, utterance_idx)
    WHERE scorer = $scorer AND ($corpus IS NULL OR corpus = $corpus)
        AND coalesce({", ".join(_PROBABILITIES)}) IS NOT NULL
    ORDER BY recording_id, heard_key, utterance_idx, corpus
"""


@dataclass(frozen=True)
class ScoredGold:
    """What a model of a lake says of gold labels."""

    scorer: str
    predictions: Predictions
    """Of the utterances that have an answer."""
    texts: Mapping[str, str] | None
    """Utterance id -> the words that the lake found there; None where an utterance has no times of its words."""
    num_left_out: Mapping[str, int]
    """Why the others have no answer -> how many."""


class _Met(NamedTuple):
    """An utterance with a gold label and the lake's utterances that it meets, with the milliseconds of each."""

    gold: Utterance
    file: Row
    heard: Sequence[tuple[Row, int]]

    @property
    def channel(self) -> int | None:
        """The one that it lies on; None: all, as of a file that has one."""
        return _channel(self.gold.sound, self.file["channels"])


def answers_about(reader: LakeReader, gold: Corpus, scorer: str | None = None, corpus: str | None = None) -> ScoredGold:
    """Find the answers to the utterances of `gold`; `corpus`: of this corpus of the lake alone.

    Raises `UsageError` for a model without answers there, for several models where none is named, for a recording with
    answers to several hearings where no corpus is named, and where not one utterance has an answer.
    """
    scorer = _scorer(reader, scorer, corpus)
    files = {_resolved(row["uri"]): row for row in reader.rows(FILES, {"corpus": corpus}) if _is_file(row["uri"])}
    answers: defaultdict[str, list[Row]] = defaultdict(list)
    for row in reader.rows(ANSWERS, {"scorer": scorer, "corpus": corpus}):
        answers[row["recording_id"]].append(row)
    met, left_out = _meet(gold, files, answers)
    if not met:
        why = ", ".join(f"{num}: {reason}" for reason, num in left_out.items())
        raise UsageError(
            f"{scorer} has no answer about any utterance of {gold.name} in {reader.address} ({why}): score the files "
            "that the labels speak of"
        )
    asked = [Stretch(one.gold, one.file["recording_id"], one.heard[0][0]["heard_key"], one.channel) for one in met]
    return ScoredGold(scorer, _predictions(met), words_in(reader, asked, corpus), dict(left_out))


def _meet(
    gold: Corpus, files: Mapping[str, Row], answers: Mapping[str, Sequence[Row]]
) -> tuple[list[_Met], Counter[str]]:
    met, left_out = [], Counter[str]()
    for one in gold.utterances:
        file = files.get(_resolved(one.sound.path))
        if file is None or file["status"] != "scored":
            left_out[NOT_IN_LAKE if file is None else NOT_SCORED] += 1
            continue
        rows = answers.get(file["recording_id"], ())
        _require_one_hearing(file["uri"], rows)
        if heard := _overlapping(one.sound, rows, file["channels"]):
            met.append(_Met(one, file, heard))
        else:
            left_out[NO_ANSWER] += 1
    return met, left_out


def _require_one_hearing(uri: str, rows: Sequence[Row]) -> None:
    corpora = {row["heard_key"]: row["corpus"] for row in rows}
    if len(corpora) > 1:
        named = ", ".join(sorted(corpora.values()))
        raise UsageError(f"{uri} has answers to {len(corpora)} hearings, of the corpora {named}: name one by --corpus")


def _predictions(met: Sequence[_Met]) -> Predictions:
    labels = _labels([row for one in met for row, _ in one.heard])
    values = np.stack([_mean(one.heard, labels) for one in met])
    dimensions = values[:, len(labels) :].astype(np.float32)
    return Predictions(
        tuple(one.gold for one in met),
        labels,
        np.log(np.maximum(values[:, : len(labels)], LEAST_PROBABILITY)).astype(np.float32),
        None if np.isnan(dimensions).all() else dimensions,
    )


def _scorer(reader: LakeReader, scorer: str | None, corpus: str | None) -> str:
    known = [row["scorer"] for row in reader.rows(SCORERS, {"corpus": corpus})]
    where = f"corpus {corpus!r} of {reader.address}" if corpus else reader.address
    if scorer is not None and scorer not in known:
        raise UsageError(f"{scorer!r} has no answers in {where}; these have: {', '.join(known) or 'none'}")
    if scorer is None and len(known) != 1:
        raise UsageError(f"{len(known)} emotion models have answers in {where}: name one of {', '.join(known) or '-'}")
    return scorer or known[0]


def _labels(rows: Sequence[Row]) -> tuple[str, ...]:
    """The classes that the model knows: it gives them probabilities, of whatever size."""
    known = tuple(name for name in CLASSES if any(row[f"p_{name}"] is not None for row in rows))
    return (*known, "other") if any(row["p_other"] for row in rows) else known


def _overlapping(sound: Sound, rows: Sequence[Row], num_channels: int | None) -> list[tuple[Row, int]]:
    """Utterances and their milliseconds inside a stretch, in order of time; none where they cover too little of it."""
    met, channel = [], _channel(sound, num_channels)
    covered_ms, until_ms = 0, sound.start_ms
    for row in sorted(rows, key=lambda row: int(row["start_ms"])):
        if channel is not None and row["channel"] != channel:
            continue
        end_ms = row["end_ms"] if sound.end_ms is None else min(row["end_ms"], sound.end_ms)
        overlap_ms = end_ms - max(row["start_ms"], sound.start_ms)
        if overlap_ms > 0:
            met.append((row, overlap_ms))
            covered_ms += max(0, end_ms - max(row["start_ms"], until_ms))
            until_ms = max(until_ms, end_ms)
    if sound.end_ms is not None and covered_ms < MIN_COVERED * (sound.end_ms - sound.start_ms):
        return []
    return met


def _channel(sound: Sound, num_channels: int | None) -> int | None:
    """The channel whose utterances are meant; None: a file of one channel has no others."""
    return sound.channel if (num_channels or 1) > 1 else None


def _mean(met: Sequence[tuple[Row, int]], labels: Sequence[str]) -> NDArray[np.float64]:
    """Probabilities of the labels, then valence, arousal and dominance, NaN where the model has none."""
    columns = (*(f"p_{name}" for name in labels), *DIMENSIONS)
    values = np.array([[row[name] for name in columns] for row, _ in met], np.float64)
    values[:, : len(labels)] = np.nan_to_num(values[:, : len(labels)])
    return np.asarray(np.average(values, axis=0, weights=[overlap_ms for _, overlap_ms in met]))


def _is_file(uri: str) -> bool:
    return not (is_remote(uri) or is_row(uri))


def _resolved(place: str | Path) -> str:
    path = place if isinstance(place, Path) else Path(os.fsdecode(local_path(place)))
    return os.fsdecode(path.resolve())
