"""audformat: a folder with a header and a segmented table (audeering.github.io/audformat: "Header", "Tables").

The layout is written from its documentation; the `audformat` package is not needed.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mmer_ray.errors import UsageError
from mmer_ray.export.exported import Exported
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


class AudformatFolder:
    """Writes an audformat database, a conversation at a time: the table `utterances`, and at the end its header. A
    context manager.

    `file` is a recording's uri. An emotion column names its scorer as a machine rater. The header says
    `usage: restricted`, since nobody here knows what the recordings may be used for.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = (folder / TABLE).open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._rows.writerow(["file", "start", "end", *_SCHEMES])
        self._labels: set[str] = set()
        self._scorers: set[str] = set()
        self._corpora: set[str] = set()
        self._files: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if error is None:
            (self._folder / HEADER).write_text(self._header(), encoding="utf-8")

    def add(self, one: Exported) -> None:
        """Append a row for each utterance. Raises `UsageError` for a file that is there already, in another corpus."""
        if one.uri in self._files:
            raise UsageError(
                f"{one.uri} is in several corpora, and an audformat table has one row for a stretch of a file; "
                "choose one corpus with --corpus NAME"
            )
        self._files.add(one.uri)
        self._corpora.add(one.corpus)
        for start_ms, end_ms, said in _distinct(one.utterances):
            self._rows.writerow([one.uri, _timedelta(start_ms), _timedelta(end_ms), *self._values(said)])

    def _values(self, said: Utterance) -> list[Any]:
        for emotion in said.emotions:
            self._scorers.add(emotion.scorer)
            self._labels |= {*emotion.probabilities, *filter(None, [emotion.label])}
        felt = said.emotions[0] if said.emotions else Emotion(scorer="", label=None)
        dimensions = [felt.confidence, felt.valence, felt.arousal, felt.dominance]
        return [said.called, said.channel, said.text, said.language, felt.label, *dimensions]

    def _header(self) -> str:
        """JSON, which YAML 1.2 takes as it is."""
        labels = {"labels": sorted(self._labels)} if self._labels else {}
        columns: dict[str, dict[str, str]] = {name: {"scheme_id": name} for name in _SCHEMES}
        if len(self._scorers) == 1:
            for name in _FELT:
                columns[name]["rater_id"] = next(iter(self._scorers))
        header = {
            "name": ", ".join(sorted(self._corpora)) or "empty",
            "source": "recordings scored by mmer_ray",
            "usage": "restricted",
            "raters": {scorer: {"type": "machine"} for scorer in sorted(self._scorers)},
            "schemes": {**_SCHEMES, "emotion": {**_SCHEMES["emotion"], **labels}},
            "tables": {"utterances": {"type": "segmented", "columns": columns}},
        }
        return json.dumps(header, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


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
