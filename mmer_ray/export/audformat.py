"""audformat: a folder with a header and a segmented table (audeering.github.io/audformat: "Header", "Tables").

The layout is written from its documentation; the `audformat` package is not needed.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from mmer_ray.records import Emotion, Utterance

HEADER = "db.yaml"
TABLE = "db.utterances.csv"

_SCHEMES: dict[str, dict[str, Any]] = {
    "speaker": {"dtype": "str"},
    "channel": {"dtype": "int", "minimum": 0},
    "text": {"dtype": "str"},
    "language": {"dtype": "str"},
    "emotion": {"dtype": "str"},
    "confidence": {"dtype": "float", "minimum": 0.0, "maximum": 1.0},
    "valence": {"dtype": "float", "minimum": -1.0, "maximum": 1.0},
    "arousal": {"dtype": "float", "minimum": -1.0, "maximum": 1.0},
    "dominance": {"dtype": "float", "minimum": -1.0, "maximum": 1.0},
}
"""Columns of the table, in order; each has a scheme of its own name."""
_FELT = ("emotion", "confidence", "valence", "arousal", "dominance")


def to_audformat(recording: str, utterances: Sequence[Utterance]) -> dict[str, str]:
    """Name -> text of the files of an audformat database: a header and the table `utterances`.

    `file` is the recording's uri. An emotion column names its scorer as a machine rater. The header says
    `usage: restricted`, since nobody here knows what the recording may be used for.
    """
    return {HEADER: _header(recording, utterances), TABLE: _table(recording, utterances)}


def _header(recording: str, utterances: Sequence[Utterance]) -> str:
    """JSON, which YAML 1.2 takes as it is."""
    emotions = [emotion for one in utterances for emotion in one.emotions]
    labels = {emotion.label for emotion in emotions if emotion.label}.union(*(one.probabilities for one in emotions))
    schemes = {**_SCHEMES, "emotion": {**_SCHEMES["emotion"], **({"labels": sorted(labels)} if labels else {})}}
    scorers = sorted({emotion.scorer for emotion in emotions})
    columns: dict[str, dict[str, str]] = {name: {"scheme_id": name} for name in _SCHEMES}
    if len(scorers) == 1:
        for name in _FELT:
            columns[name]["rater_id"] = scorers[0]
    header = {
        "name": PurePosixPath(recording).stem or "recording",
        "source": recording,
        "usage": "restricted",
        "raters": {scorer: {"type": "machine"} for scorer in scorers},
        "schemes": schemes,
        "tables": {"utterances": {"type": "segmented", "columns": columns}},
    }
    return json.dumps(header, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _table(recording: str, utterances: Sequence[Utterance]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["file", "start", "end", *_SCHEMES])
    for start_ms, end_ms, one in _distinct(utterances):
        emotion = one.emotions[0] if one.emotions else Emotion(scorer="", label=None)
        dimensions = [emotion.confidence, emotion.valence, emotion.arousal, emotion.dominance]
        said = [one.called, one.channel, one.text, one.language]
        rows.writerow([recording, _timedelta(start_ms), _timedelta(end_ms), *said, emotion.label, *dimensions])
    return text.getvalue()


def _distinct(utterances: Sequence[Utterance]) -> Iterator[tuple[int, int, Utterance]]:
    """(start, end, utterance) by start. A table has one row for a stretch: what another utterance fills to the
    millisecond ends a millisecond later."""
    taken: set[tuple[int, int]] = set()
    for one in sorted(utterances, key=lambda one: (one.start_s, one.channel)):
        start_ms, end_ms = round(one.start_s * 1000), round(one.end_s * 1000)
        while (start_ms, end_ms) in taken:
            end_ms += 1
        taken.add((start_ms, end_ms))
        yield start_ms, end_ms, one


def _timedelta(time_ms: int) -> str:
    """As pandas writes a Timedelta.

    >>> _timedelta(90_061_500)
    '1 days 01:01:01.500000'
    """
    days, rest_ms = divmod(time_ms, 24 * 3_600_000)
    hours, rest_ms = divmod(rest_ms, 3_600_000)
    minutes, rest_ms = divmod(rest_ms, 60_000)
    return f"{days} days {hours:02d}:{minutes:02d}:{rest_ms // 1000:02d}.{rest_ms % 1000 * 1000:06d}"
