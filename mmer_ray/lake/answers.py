"""What comes out of the models, as Arrow: made beside them, sent to the driver, taken by the writer.

`Answers.of` turns scored recordings into columns. It needs no key of the lake and no run: a recording is named by its
digest, and every other table names it by its position (`answer`). The writer adds the rest (`lake/batch.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mmer_ray.errors import ErrorCode
from mmer_ray.lake.answer_tables import (
    ANSWER_SCHEMAS,
    SUMMARY,
    calls_table,
    emotions_table,
    pieces_table,
    recordings_table,
    results_table,
    turns_table,
    utterances_table,
    words_table,
)
from mmer_ray.lake.columns import values
from mmer_ray.records import ScoredRecording

if TYPE_CHECKING:
    from mmer_ray.stages.keys import Keys


@dataclass(frozen=True, slots=True)
class Answers:
    """The rows of some recordings, without the names of run and commit.

    `tables["recordings"]` has one row per recording, in order; its `recording_id` is the content digest, null where
    the bytes were not read. Rows of the other tables belong to the recording at position `answer`, in its order.
    """

    tables: Mapping[str, pa.Table]

    @classmethod
    def of(cls, scored: Sequence[ScoredRecording], keys: Keys) -> Answers:
        """The rows of finished recordings, made with these keys.

        Only what came after a recording's restart point is there: with `emotion` its emotions and call measures, with
        `link` the measures alone. A failed recording has its row in `recordings` and no other. What is no number
        becomes null, what is no text `?`.
        """
        whole = [(at, one) for at, one in enumerate(scored) if one.status == "scored"]
        heard = [(at, one) for at, one in whole if one.restart == "decode"]
        felt = [(at, one) for at, one in whole if one.restart != "link"]
        utterances = [(at, index, item) for at, one in heard for index, item in enumerate(one.utterances)]
        return cls(
            {
                "recordings": recordings_table(scored, keys),
                "results": results_table(heard, keys),
                "utterances": utterances_table(utterances),
                "words": words_table(utterances),
                "turns": turns_table([(at, index, turn) for at, one in heard for index, turn in enumerate(one.turns)]),
                "pieces": pieces_table([(at, window) for at, one in heard for window in one.pieces]),
                "emotions": emotions_table(
                    [
                        (at, index, emotion)
                        for at, one in felt
                        for index, item in enumerate(one.utterances)
                        for emotion in item.emotions
                    ]
                ),
                "calls": calls_table(whole, keys),
            }
        )

    @classmethod
    def concat(cls, many: Iterable[Answers]) -> Answers:
        """One after the other."""
        parts: dict[str, list[pa.Table]] = {name: [] for name in ANSWER_SCHEMAS}
        offset = 0
        for answers in many:
            for name, table in answers.tables.items():
                if offset and name != "recordings":
                    moved = pc.add(table.column("answer"), pa.scalar(offset, pa.int32()))
                    table = table.set_column(0, "answer", moved)
                parts[name].append(table)
            offset += answers.num_recordings
        return cls(
            {name: pa.concat_tables([ANSWER_SCHEMAS[name].empty_table(), *some]) for name, some in parts.items()}
        )

    def only(self, keep: npt.NDArray[np.bool_]) -> Answers:
        """The answers of the recordings at which `keep`, shape (num_recordings,), is true."""
        if keep.all():
            return self
        position = np.cumsum(keep, dtype=np.int32) - 1
        tables = {}
        for name, table in self.tables.items():
            if name == "recordings":
                tables[name] = table.filter(pa.array(keep))
                continue
            answer = table.column("answer").to_numpy()
            kept = table.filter(pa.array(keep[answer]))
            tables[name] = kept.set_column(0, "answer", pa.array(position[answer[keep[answer]]], pa.int32()))
        return Answers(tables)

    def failed_at(self, at: npt.NDArray[np.bool_], code: ErrorCode, stage: str, message: str) -> Answers:
        """The same answers, those where `at`, shape (num_recordings,), is true turned into failures."""
        if not at.any():
            return self
        recordings, mask = self.tables["recordings"], pa.array(at)
        changes = {
            "recording_id": None, "status": "failed", "error_code": str(code), "error_stage": stage,
            "error_message": message, "heard_key": None, "duration_ms": None,
        }  # fmt: skip
        for name, value in changes.items():
            field = recordings.schema.field(name)
            column = pc.if_else(mask, pa.scalar(value, field.type), recordings.column(name))
            recordings = recordings.set_column(recordings.column_names.index(name), field, column)
        others = {
            name: table.filter(pa.array(~at[table.column("answer").to_numpy()]))
            for name, table in self.tables.items()
            if name != "recordings"
        }
        return Answers({"recordings": recordings, **others})

    def with_containers(self) -> pa.Table:
        """The table `recordings` and a column `container`, null where nothing was heard."""
        recordings, results = self.tables["recordings"], self.tables["results"]
        at = pc.index_in(pa.array(range(self.num_recordings), pa.int32()), value_set=results.column("answer"))
        return recordings.append_column("container", results.column("container").take(at))

    @classmethod
    def from_bytes(cls, data: bytes | pa.Buffer) -> Answers:
        """What `to_bytes` made; the columns stay in the memory of `data`."""
        packed = pa.ipc.open_stream(pa.py_buffer(data)).read_all()
        names: list[str] = values(packed, "table")
        streams = [scalar.as_buffer() for scalar in packed.column("stream").chunk(0)]
        return cls({name: pa.ipc.open_stream(stream).read_all() for name, stream in zip(names, streams, strict=True)})

    def to_bytes(self) -> bytes:
        """The tables as one Arrow stream of Arrow streams."""
        streams = pa.array([_stream(table) for table in self.tables.values()], pa.large_binary())
        packed = pa.table({"table": pa.array(list(self.tables), pa.string()), "stream": streams})
        return _stream(packed)

    @property
    def num_recordings(self) -> int:
        return int(self.tables["recordings"].num_rows)

    @property
    def num_bytes(self) -> int:
        """Bytes of the columns in memory."""
        return sum(int(table.nbytes) for table in self.tables.values())

    @property
    def summary(self) -> pa.Table:
        """What became of each recording: `SUMMARY`."""
        table = self.tables["recordings"]
        return pa.table(
            [table.column("error_message" if name == "message" else name) for name in SUMMARY.names], schema=SUMMARY
        )


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
