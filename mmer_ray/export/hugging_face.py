"""A folder that the `datasets` library of Hugging Face loads: `load_dataset(FOLDER, "utterances")`.

    README.md               the dataset card; its YAML names two configurations ("Structure your repository")
    utterances/*.parquet    a row per utterance: who, when, what, and how it was felt
    recordings/*.parquet    a row per recording, with the feature `audio`

The Parquet files bring their features in the schema's metadata, as `datasets` writes them itself (`arrow_writer.py`),
so `audio` is decoded from the file that it names. The package is not needed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from mmer_ray.export.exported import Exported
from mmer_ray.records import Utterance

FLUSH_ROWS = 10_000
"""Rows of a table that are held before they become a row group."""
CARD = "README.md"

_WORD = pa.struct([("word", pa.string()), ("start_s", pa.float64()), ("end_s", pa.float64()), ("p", pa.float64())])
_PROBABILITY = pa.struct([("label", pa.string()), ("p", pa.float64())])
_AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

_UTTERANCE_COLUMNS: dict[str, pa.DataType] = {
    **dict.fromkeys(("recording_id", "corpus"), pa.string()),
    **dict.fromkeys(("utterance_idx", "channel"), pa.int32()),
    **dict.fromkeys(("speaker", "role"), pa.string()),
    **dict.fromkeys(("start_s", "end_s"), pa.float64()),
    **dict.fromkeys(("text", "language"), pa.string()),
    "words": pa.list_(_WORD),
    **dict.fromkeys(("scorer", "emotion"), pa.string()),
    "probabilities": pa.list_(_PROBABILITY),
    **dict.fromkeys(("confidence", "valence", "arousal", "dominance"), pa.float64()),
}
UTTERANCES = pa.schema(_UTTERANCE_COLUMNS)
RECORDINGS = pa.schema(
    {
        **dict.fromkeys(("recording_id", "corpus"), pa.string()),
        "audio": _AUDIO,
        "duration_s": pa.float64(),
        **dict.fromkeys(("sample_rate_hz", "channels", "num_utterances"), pa.int32()),
    }
)


class HuggingFaceFolder:
    """Writes the folder, a conversation at a time; a context manager. The card is written at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._exit = ExitStack()
        self._tables = {
            name: self._exit.enter_context(_Rows(folder / name / "train-00000-of-00001.parquet", schema))
            for name, schema in (("utterances", UTTERANCES), ("recordings", RECORDINGS))
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()
        if error is None:
            counts = {name: rows.num_rows for name, rows in self._tables.items()}
            (self._folder / CARD).write_text(card(counts), encoding="utf-8")

    def add(self, one: Exported) -> None:
        """Append a recording and its utterances."""
        self._tables["recordings"].add([_recording_row(one)])
        self._tables["utterances"].add([_utterance_row(one, at, said) for at, said in enumerate(one.utterances)])


class _Rows:
    """A Parquet file that rows are appended to."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": features(schema)}})})
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._held: list[Mapping[str, Any]] = []
        self.num_rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self._flush()
        self._writer.close()

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._held += rows
        self.num_rows += len(rows)
        if len(self._held) >= FLUSH_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            self._writer.write_table(pa.Table.from_pylist(self._held, schema=self._schema))
        self._held = []


def features(schema: pa.Schema) -> dict[str, Any]:
    """The features of a table as `datasets.Features.to_dict` writes them."""
    return {field.name: _feature(field.type) for field in schema}


def _feature(data_type: pa.DataType) -> Any:
    if data_type == _AUDIO:
        return {"_type": "Audio"}
    if pa.types.is_list(data_type):
        # A list with one element, which every version of the library reads.
        return [_feature(data_type.value_type)]
    if pa.types.is_struct(data_type):
        return {data_type.field(at).name: _feature(data_type.field(at).type) for at in range(data_type.num_fields)}
    name = {pa.float64(): "float64", pa.int32(): "int32", pa.string(): "string"}[data_type]
    return {"dtype": name, "_type": "Value"}


def card(num_rows: Mapping[str, int]) -> str:
    """The dataset card: YAML that names the configurations, and what the columns are."""
    configs = "".join(
        f"- config_name: {name}\n  data_files:\n  - split: train\n    path: {name}/*.parquet\n"
        + ("  default: true\n" if name == "utterances" else "")
        for name in num_rows
    )
    counted = "\n".join(f"- `{name}`: {count:,} rows" for name, count in num_rows.items())
    return f"""---
configs:
{configs}---

# Scored conversations

Exported from a lake of mmer_ray. Nobody here knows what the recordings may be used for: ask who made them.

{counted}

Times are seconds from the start of the recording. `emotion`, its `probabilities` and the dimensions (-1 to 1) are the
answer of the model that `scorer` names. `audio` of `recordings` names the file where it lay when it was scored.
"""


def _recording_row(one: Exported) -> dict[str, Any]:
    return {
        "recording_id": one.recording_id,
        "corpus": one.corpus,
        "audio": {"bytes": None, "path": one.uri},
        "duration_s": one.duration_s,
        "sample_rate_hz": one.sample_rate_hz,
        "channels": one.channels,
        "num_utterances": len(one.utterances),
    }


def _utterance_row(one: Exported, index: int, said: Utterance) -> dict[str, Any]:
    words = [{"word": word.word, "start_s": word.start_s, "end_s": word.end_s, "p": word.p} for word in said.words]
    row = {
        "recording_id": one.recording_id,
        "corpus": one.corpus,
        "utterance_idx": index,
        "speaker": said.called,
        **{name: getattr(said, name) for name in ("channel", "role", "start_s", "end_s", "text", "language")},
        "words": words,
    }
    if not said.emotions:
        return row
    felt = said.emotions[0]
    numbers = {name: getattr(felt, name) for name in ("confidence", "valence", "arousal", "dominance")}
    probabilities = [{"label": label, "p": p} for label, p in felt.probabilities.items()]
    return row | {"scorer": felt.scorer, "emotion": felt.label, "probabilities": probabilities} | numbers
