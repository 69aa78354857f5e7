"""What comes out of the models, as Arrow: made beside them, sent to the driver, taken by the writer.

`Answers.of` turns scored recordings into columns. It needs no key of the lake and no run: a recording is named by its
digest, and every other table names it by its position (`answer`). The writer adds the rest (`lake/batch.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mmer_ray.errors import MAX_MESSAGE_CHARS, ErrorCode, Flag
from mmer_ray.lake.columns import (
    clean,
    metadata_items,
    milliseconds,
    ms_column,
    score_column,
    split_ms,
    text_column,
    values,
)
from mmer_ray.records import CallMeasures, Emotion, Recording, ScoredRecording, SpeakerTurn, Utterance, Word
from mmer_ray.tables import CLASSES, DATA_TABLES, SCHEMAS

if TYPE_CHECKING:
    from mmer_ray.stages.keys import Keys

_PLACE = ("recording_id", "corpus", "month", "day", "heard_key", "run_id", "commit_id")
_SECONDS: pa.DataType = pa.map_(pa.string(), pa.float64())
_SUMMARY: list[tuple[str, pa.DataType]] = [
    *((name, pa.string()) for name in ("corpus", "uri", "status", "error_code", "message")),
    *((name, pa.int32()) for name in ("duration_ms", "expected_ms", "attempts")),
    ("size_bytes", pa.int64()),
    ("restart", pa.string()),
    *((name, _SECONDS) for name in ("stage_s", "gpu_s")),
]
SUMMARY = pa.schema(_SUMMARY)
"""What a driver counts by, one row per recording. `duration_ms` is null where the recording failed."""


def _schema(table: str) -> pa.Schema:
    """The columns of a table that the models can fill in."""
    if table == "recordings":
        own = [field for field in SCHEMAS[table] if field.name not in ("run_id", "commit_id")]
        return pa.schema([*own, *(SUMMARY.field(name) for name in ("duration_ms", "restart", "stage_s", "gpu_s"))])
    own = [field for field in SCHEMAS[table] if field.name not in _PLACE]
    return pa.schema([pa.field("answer", pa.int32()), *own])


ANSWER_SCHEMAS = {name: _schema(name) for name in DATA_TABLES if name != "active_scorers"}


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
                "recordings": _recordings(scored, keys),
                "results": _results(heard, keys),
                "utterances": _utterances(utterances),
                "words": _words(utterances),
                "turns": _turns([(at, index, turn) for at, one in heard for index, turn in enumerate(one.turns)]),
                "emotions": _emotions(
                    [
                        (at, index, emotion)
                        for at, one in felt
                        for index, item in enumerate(one.utterances)
                        for emotion in item.emotions
                    ]
                ),
                "calls": _calls(whole, keys),
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


def source_columns(recordings: Sequence[Recording]) -> dict[str, pa.Array[Any]]:
    """What the planner knew before a byte was decoded."""
    days = [date.fromisoformat(one.day) for one in recordings]
    return {
        "corpus": text_column([one.corpus for one in recordings]),
        "month": text_column([one.day[:7] for one in recordings]),
        "day": pa.array(days, pa.date32()),
        "uri": text_column([one.uri for one in recordings]),
        "modified": text_column([one.modified for one in recordings]),
        "size_bytes": pa.array([one.size_bytes for one in recordings], pa.int64()),
        "expected_ms": ms_column([one.expected_s for one in recordings]),
        "metadata": pa.array(
            [metadata_items(one.metadata) for one in recordings], SCHEMAS["recordings"].field("metadata").type
        ),
    }


def _table(name: str, columns: Mapping[str, Any]) -> pa.Table:
    schema = ANSWER_SCHEMAS[name]
    arrays = []
    for field in schema:
        column = columns[field.name]
        arrays.append(column if isinstance(column, pa.Array) else pa.array(column, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _recordings(scored: Sequence[ScoredRecording], keys: Keys) -> pa.Table:
    is_scored = [one.status == "scored" for one in scored]
    for one in scored:
        known = one.audio if one.status == "scored" else one.failure
        assert known is not None, f"{one.recording.uri}: {one.status}?"
    failures = [one.failure if one.status == "failed" else None for one in scored]
    splits = [_split(one) if one.status == "scored" else (None, None, None) for one in scored]
    return _table(
        "recordings",
        {
            **source_columns([one.recording for one in scored]),
            "recording_id": text_column([(one.audio.content_digest or None) if one.audio else None for one in scored]),
            "flags": [_flags_of_name(one) for one in scored],
            "status": [str(one.status) for one in scored],
            "error_code": [str(one.code) if one else None for one in failures],
            "error_stage": text_column([one.stage if one else None for one in failures]),
            "error_message": text_column([clean(one.message)[:MAX_MESSAGE_CHARS] if one else None for one in failures]),
            "attempts": [one.recording.attempt for one in scored],
            "is_copy": [False] * len(scored),
            "decode_key": [keys.decode] * len(scored),
            "limits_key": [keys.limits] * len(scored),
            "heard_key": [keys.heard if whole else None for whole in is_scored],
            "duration_ms": [duration_ms for duration_ms, _, _ in splits],
            "restart": [one.restart for one in scored],
            "stage_s": [list(one.stage_seconds.items()) for one in scored],
            "gpu_s": [list(one.gpu_seconds.items()) for one in scored],
        },
    )


def _flags_of_name(one: ScoredRecording) -> list[str]:
    flags = one.audio.flags if one.audio else ()
    return [str(flag) for flag in flags if flag is Flag.MISLABELLED]


def _split(one: ScoredRecording) -> tuple[int, int, int]:
    assert one.audio is not None
    if one.restart != "decode":
        # What was heard, and its ledger, are in the lake.
        return milliseconds(one.audio.duration_s), 0, 0
    return split_ms(one.audio.duration_s, one.speech_s, one.non_speech_s)


def _results(heard: Sequence[tuple[int, ScoredRecording]], keys: Keys) -> pa.Table:
    facts = [one.audio for _, one in heard if one.audio is not None]
    splits = [_split(one) for _, one in heard]
    return _table(
        "results",
        {
            "answer": [at for at, _ in heard],
            "decode_key": [keys.decode] * len(heard),
            "diarize_key": [keys.diarize] * len(heard),
            "transcribe_key": [keys.transcribe] * len(heard),
            "duration_ms": [split[0] for split in splits],
            "channels": [one.channels for one in facts],
            "sample_rate_hz": [one.sample_rate_hz for one in facts],
            "codec": text_column([one.codec for one in facts]),
            "container": text_column([one.container for one in facts]),
            "flags": [sorted({str(flag) for flag in one.flags} - {str(Flag.MISLABELLED)}) for one in facts],
            "speech_ms": [split[1] for split in splits],
            "non_speech_ms": [split[2] for split in splits],
            "overlap_ms": ms_column([one.overlap_s for _, one in heard]),
            "num_speakers": [one.num_speakers for _, one in heard],
            "language": text_column([one.language for _, one in heard]),
            "language_p": score_column([one.language_p if one.language else None for _, one in heard]),
            "num_utterances": [len(one.utterances) for _, one in heard],
        },
    )


def _utterances(rows: Sequence[tuple[int, int, Utterance]]) -> pa.Table:
    said = [one for _, _, one in rows]
    return _table(
        "utterances",
        {
            "answer": [at for at, _, _ in rows],
            "utterance_idx": [index for _, index, _ in rows],
            "channel": [one.channel for one in said],
            "speaker": text_column([one.speaker for one in said]),
            "speaker_is_channel": [one.speaker_is_channel for one in said],
            "start_ms": ms_column([one.start_s for one in said], default=0),
            "end_ms": ms_column([one.end_s for one in said], default=0),
            "text": text_column([one.text for one in said]),
            "language": text_column([one.language for one in said]),
            "language_p": score_column([one.language_p for one in said]),
            "num_words": [len(one.words) for one in said],
            "asr_logprob": score_column([one.asr_logprob for one in said]),
            "overlap_ms": ms_column([one.overlap_s for one in said], default=0),
            "snr_db": score_column([one.snr_db for one in said]),
            "dialogue_idx": [one.dialogue_idx for one in said],
            "fallback_reason": text_column([one.fallback_reason for one in said]),
        },
    )


def _words(utterances: Sequence[tuple[int, int, Utterance]]) -> pa.Table:
    places = [(at, index, number) for at, index, one in utterances for number in range(len(one.words))]
    words: list[Word] = [word for _, _, one in utterances for word in one.words]
    return _table(
        "words",
        {
            "answer": [at for at, _, _ in places],
            "utterance_idx": [index for _, index, _ in places],
            "word_idx": [number for _, _, number in places],
            "word": text_column([word.word for word in words]),
            "start_ms": ms_column([word.start_s for word in words]),
            "end_ms": ms_column([word.end_s for word in words]),
            "p": score_column([word.p for word in words]),
        },
    )


def _turns(rows: Sequence[tuple[int, int, SpeakerTurn]]) -> pa.Table:
    turns = [turn for _, _, turn in rows]
    return _table(
        "turns",
        {
            "answer": [at for at, _, _ in rows],
            "turn_idx": [index for _, index, _ in rows],
            "channel": [turn.channel for turn in turns],
            "speaker": text_column([turn.speaker for turn in turns]),
            "start_ms": ms_column([turn.start_s for turn in turns], default=0),
            "end_ms": ms_column([turn.end_s for turn in turns], default=0),
        },
    )


def _emotions(rows: Sequence[tuple[int, int, Emotion]]) -> pa.Table:
    felt = [emotion for _, _, emotion in rows]
    dimensions = ("valence", "arousal", "dominance", "confidence")
    return _table(
        "emotions",
        {
            "answer": [at for at, _, _ in rows],
            "utterance_idx": [index for _, index, _ in rows],
            "scorer": text_column([one.scorer for one in felt]),
            "label": text_column([one.label for one in felt]),
            **{f"p_{name}": score_column([one.probabilities.get(name) for one in felt]) for name in CLASSES},
            "p_other": score_column([_p_other(one) for one in felt]),
            **{name: score_column([getattr(one, name) for one in felt]) for name in dimensions},
            "skip_reason": text_column([one.skip_reason for one in felt]),
        },
    )


def _p_other(emotion: Emotion) -> float | None:
    others = [p for name, p in sorted(emotion.probabilities.items()) if name not in CLASSES and p is not None]
    return sum(others) if others else None


def _calls(rows: Sequence[tuple[int, ScoredRecording]], keys: Keys) -> pa.Table:
    measures = [one.measures for _, one in rows]
    return _table(
        "calls",
        {
            "answer": [at for at, _ in rows],
            "scorer": text_column([one.scorer or keys.scorer for _, one in rows]),
            "emotion_key": [keys.emotion] * len(rows),
            "link_key": [keys.link] * len(rows),
            "channel_roles": [[clean(role) for role in keys.channel_roles]] * len(rows),
            "has_emotions": [one.restart != "link" for _, one in rows],
            **_measure_columns(measures),
        },
    )


def _measure_columns(measures: Sequence[CallMeasures | None]) -> dict[str, Any]:
    known = [one or _NOTHING for one in measures]
    quarters = [(*one.valence_by_quarter, None, None, None, None)[:4] for one in known]
    return {
        "num_utterances": [one.num_utterances for one in known],
        "talk_ms": [[(clean(name), milliseconds(s)) for name, s in sorted(one.talk_s.items())] for one in known],
        "silence_ms": ms_column([one.silence_s for one in known]),
        "overlap_ms": ms_column([one.overlap_s for one in known]),
        "interruptions": [one.interruptions for one in known],
        "longest_monologue_ms": ms_column([one.longest_monologue_s for one in known]),
        "words_per_minute": [_rates(one.words_per_minute) for one in known],
        **{f"valence_q{at + 1}": score_column([values[at] for values in quarters]) for at in range(4)},
        "worst_window_start_ms": ms_column([one.worst_window_start_s for one in known]),
        "worst_window_valence": score_column([one.worst_window_valence for one in known]),
    }


_NOTHING = CallMeasures(0, {}, 0.0, 0.0, 0, {}, 0.0)


def _rates(words_per_minute: Mapping[str, float]) -> list[tuple[str, float | None]]:
    rates = score_column(list(words_per_minute.values())).to_pylist()
    return sorted(zip(map(clean, words_per_minute), rates, strict=True))


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
