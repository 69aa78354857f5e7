"""Predictions as a Parquet file: a row for each utterance with its truth and the model's answer.

Labels, fold and seed stand in the file's metadata. Transcripts and speakers' names are in it: it is as personal as the
corpus itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mmer_ray.errors import UsageError
from mmer_ray.training.predictions import Predictions
from mmer_ray.training.utterances import Sound, Utterance

SCHEMA = "mmer.predictions/1"
_METADATA_KEY = b"mmer"
_TEXT, _INT = pa.string(), pa.int64()
_PLAIN = (
    *("utterance_id", "speaker", "label", "text", "dialogue", "session", "sex", "style", "sentence", "partition"),
    "read_from",
)
_COLUMNS = pa.schema(
    [(name, _TEXT) for name in _PLAIN]
    + [
        ("shares", pa.map_(_TEXT, pa.float64())),
        ("true_dimensions", pa.list_(pa.float64())),
        ("path", _TEXT),
        ("start_ms", _INT),
        ("end_ms", _INT),
        ("channel", _INT),
        ("trimmed", pa.bool_()),
        ("logits", pa.list_(pa.float32())),
        ("dimensions", pa.list_(pa.float32())),
    ]
)


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write a file that `read_predictions` gives back equal; a kill in between leaves no half of it."""
    answers = predictions.dimensions
    rows = [
        _row(utterance) | {"logits": logits, "dimensions": None if answers is None else answers[index]}
        for index, (utterance, logits) in enumerate(zip(predictions.utterances, predictions.logits, strict=True))
    ]
    head: dict[str, Any] = {
        "schema": SCHEMA,
        "labels": predictions.labels,
        "fold": predictions.fold,
        "seed": predictions.seed,
    }
    head["has_dimensions"] = answers is not None
    schema = _COLUMNS.with_metadata({_METADATA_KEY: json.dumps(head).encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".draft")
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), draft, compression="zstd")
    draft.replace(path)


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote. Raises `UsageError` for another file."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as exc:
        raise UsageError(f"{path} holds no predictions ({exc}): name a test.parquet of a run") from exc
    head = _head(path, table.schema)
    rows = table.to_pylist(maps_as_pydicts="strict")
    num_classes = len(head["labels"])
    return Predictions(
        utterances=tuple(_utterance(row) for row in rows),
        labels=tuple(head["labels"]),
        logits=np.array([row["logits"] for row in rows], np.float32).reshape(len(rows), num_classes),
        dimensions=np.array([row["dimensions"] for row in rows], np.float32).reshape(len(rows), 3)
        if head["has_dimensions"]
        else None,
        fold=head["fold"],
        seed=head["seed"],
    )


def _head(path: Path, schema: pa.Schema) -> dict[str, Any]:
    stored = (schema.metadata or {}).get(_METADATA_KEY)
    head: dict[str, Any] = {} if stored is None else json.loads(stored)
    if head.get("schema") != SCHEMA or not set(_COLUMNS.names) <= set(schema.names):
        raise UsageError(f"{path} holds no predictions of the form {SCHEMA}: predict again with this version")
    return head


def _row(utterance: Utterance) -> dict[str, Any]:
    sound = utterance.sound
    return {name: getattr(utterance, name) for name in _PLAIN} | {
        "shares": None if utterance.shares is None else list(utterance.shares.items()),
        "true_dimensions": utterance.dimensions,
        "path": str(sound.path),
        "start_ms": sound.start_ms,
        "end_ms": sound.end_ms,
        "channel": sound.channel,
        "trimmed": sound.trimmed,
    }


def _utterance(row: Mapping[str, Any]) -> Utterance:
    known = row["true_dimensions"]
    return Utterance(
        **{name: row[name] for name in _PLAIN},
        shares=row["shares"],
        dimensions=None if known is None else (known[0], known[1], known[2]),
        sound=Sound(Path(row["path"]), row["start_ms"], row["end_ms"], row["channel"], row["trimmed"]),
    )
