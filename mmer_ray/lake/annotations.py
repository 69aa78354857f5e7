"""What people heard, brought into a lake: `mmer lake annotate`.

A label is of one utterance, which the table names by `recording_id` and `utterance_idx`, as `mmer query` gives them, or
by `recording` (a path or a file's name) and `start_s`, in seconds from the recording's start; `channel`, from 0, tells
utterances apart that begin together. Corpora that have the same audio may have heard it differently: `corpus` says
whose utterances are meant, and who may see the label in the dashboard; without it that is the first of them by name.
All rows of a table are taken in one commit, or none is. Rows that the lake has already are passed over, so that the
same table may come twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mmer_ray.errors import SourceError, UsageError
from mmer_ray.lake.commit import SingleCommit
from mmer_ray.lake.queries import LakeReader
from mmer_ray.tables import SCHEMAS
from mmer_ray.training.corpora.manifest import read_rows
from mmer_ray.training.corpora.rows import Row

if TYPE_CHECKING:
    from mmer_ray.lake.store import Lake

DIMENSIONS = ("valence", "arousal", "dominance")
START_TOLERANCE_MS = 500
"""How far from an utterance's start a row's `start_s` may lie: people and tools round."""
UTTERANCES = """
    SELECT recording_id, corpus, month, day, heard_key, utterance_idx, channel, start_ms, end_ms
    FROM utterances WHERE recording_id = $recording ORDER BY corpus, utterance_idx
"""
KNOWN = """
    SELECT DISTINCT recording_id, heard_key, utterance_idx, rater, label, valence, arousal, dominance, text
    FROM annotations WHERE recording_id = $recording
"""
_FACTS = ("recording_id", "heard_key", "utterance_idx", "rater", "label", *DIMENSIONS)


@dataclass(frozen=True)
class Annotated:
    """What came of a table."""

    num_new: int
    num_known: int
    """Rows that the lake had already, word for word."""


def annotate(lake: Lake, table: Path, rater: str | None = None) -> Annotated:
    """Bring in the labels of a table (.csv, .jsonl or .parquet).

    Columns: `label`; `recording_id` or `recording`; `utterance_idx` or `start_s`; `rater`, unless it is given here;
    `channel` and `corpus`, where a row would fit several utterances without them; and `valence`, `arousal`, `dominance`
    on -1..1, where the person gave them. Raises `UsageError`, by file and line, for
    what is missing or wrong, and `LakeError` where there is no lake or another job writes it.
    """
    rows = list(read_rows(table, ("label",)))
    lake.require_existing()
    with lake.lock():
        reader = LakeReader(lake)
        try:
            found = _Utterances(reader)
            labels = [_label(row, found.of(row), rater) for row in rows]
            _require_one_each(rows, labels)
            known = [found.known(str(one["recording_id"])) for one in labels]
            new = [one | _kept(one, there) for one, there in zip(labels, known, strict=True) if not _has(there, one)]
        finally:
            reader.close()
        if new:
            lake.create()
            SingleCommit.begin(lake).write(
                lake, {"annotations": pa.Table.from_pylist(new, schema=SCHEMAS["annotations"])}
            )
    return Annotated(len(new), len(labels) - len(new))


class _Utterances:
    """The utterances that rows name, looked up once for each recording."""

    def __init__(self, reader: LakeReader) -> None:
        self._reader = reader
        self._ids: dict[str, str] = {}
        self._utterances: dict[str, list[dict[str, Any]]] = {}
        self._known: dict[str, list[dict[str, Any]]] = {}

    def of(self, row: Row) -> dict[str, Any]:
        """The place and times of the utterance that a row is about."""
        name = row.optional("recording_id") or row.needed("recording")
        utterances = _of_one_hearing(row, name, self._of_recording(name, row.where))
        if row.optional("utterance_idx") is not None:
            number = row.number("utterance_idx")
            fitting = [one for one in utterances if one["utterance_idx"] == number]
            wanted = f"no utterance {number:g}"
        else:
            fitting = _closest(row, utterances)
            wanted = f"no utterance that begins at {row.number('start_s'):g} s"
        if not fitting:
            raise UsageError(
                f"{row.where}: {name} has {wanted}; it has {len(utterances)} utterances: `mmer query` on utterances "
                "lists their utterance_idx, channel and start_ms"
            )
        if len(fitting) > 1:
            raise UsageError(
                f"{row.where}: several utterances of {name} begin there: fill in the column channel, or utterance_idx"
            )
        return fitting[0]

    def known(self, recording: str) -> list[dict[str, Any]]:
        """What the lake has of a recording."""
        if recording not in self._known:
            self._known[recording] = self._reader.rows(KNOWN, {"recording": recording})
        return self._known[recording]

    def _of_recording(self, name: str, where: str) -> list[dict[str, Any]]:
        if name not in self._ids:
            try:
                self._ids[name] = str(self._reader.find_recording(name)["recording_id"])
            except SourceError as exc:
                raise UsageError(f"{where}: {exc}") from exc
        recording = self._ids[name]
        if recording not in self._utterances:
            self._utterances[recording] = self._reader.rows(UTTERANCES, {"recording": recording})
        return self._utterances[recording]


def _of_one_hearing(row: Row, name: str, utterances: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The utterances of a recording that a row may be about, each once: those of the corpus that it names.

    Raises `UsageError` for a corpus without them, and where corpora have other utterances and none is named.
    """
    corpora = sorted({one["corpus"] for one in utterances})
    if (corpus := row.optional("corpus")) is not None:
        if corpus not in corpora:
            raise UsageError(
                f"{row.where}: {name} has no utterances in corpus {corpus!r}, but in: {', '.join(corpora) or 'none'}"
            )
        return [one for one in utterances if one["corpus"] == corpus]
    if len({one["heard_key"] for one in utterances}) > 1:
        raise UsageError(
            f"{row.where}: the corpora {', '.join(corpora)} have heard {name} differently: fill in the column corpus"
        )
    return [one for one in utterances if one["corpus"] == corpora[0]]


def _closest(row: Row, utterances: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The utterances on a row's channel that begin closest to its `start_s`, within the tolerance."""
    start_ms = 1000 * row.number("start_s")
    near = [one for one in utterances if abs(one["start_ms"] - start_ms) <= START_TOLERANCE_MS]
    if row.optional("channel") is not None:
        near = [one for one in near if one["channel"] == row.number("channel")]
    closest = min((abs(one["start_ms"] - start_ms) for one in near), default=0)
    return [one for one in near if abs(one["start_ms"] - start_ms) == closest]


def _label(row: Row, utterance: dict[str, Any], rater: str | None) -> dict[str, Any]:
    dimensions = {}
    for name in DIMENSIONS:
        number = None if row.optional(name) is None else row.number(name)
        if number is not None and not -1 <= number <= 1:
            raise UsageError(f"{row.where}: {name} is {number:g}, outside of -1..1")
        dimensions[name] = number
    named = row.optional("rater") or rater
    if named is None:
        raise UsageError(f"{row.where}: nobody is named as rater: fill in the column rater, or give --rater NAME")
    now = datetime.now(UTC)
    return utterance | {"rater": named, "label": row.needed("label"), **dimensions, "annotated_at": now}


def _require_one_each(rows: Sequence[Row], labels: Sequence[dict[str, Any]]) -> None:
    seen: dict[tuple[Any, ...], str] = {}
    for row, one in zip(rows, labels, strict=True):
        key = (one["recording_id"], one["heard_key"], one["utterance_idx"], one["rater"])
        if (first := seen.setdefault(key, row.where)) != row.where:
            raise UsageError(f"{row.where}: {one['rater']} labels this utterance in {first} already: keep one of them")


def _has(known: Sequence[dict[str, Any]], label: dict[str, Any]) -> bool:
    return _facts(label) in [_facts(one) for one in known]


def _kept(label: dict[str, Any], known: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the same rater said of the utterance's words (`verdicts.py`), which a new label leaves as it is."""
    about = ("heard_key", "utterance_idx", "rater")
    texts = [one["text"] for one in known if all(one[name] == label[name] for name in about)]
    return {"text": texts[0] if texts else None}


def _facts(one: dict[str, Any]) -> tuple[Any, ...]:
    """What makes two labels the same; numbers as the lake's float32 has them."""
    return tuple(
        round(value, 4) if isinstance(value := one[name], float) and math.isfinite(value) else value for name in _FACTS
    )
