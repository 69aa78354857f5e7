"""The columns of the lake's tables, made of scored recordings. Every row but those of `recordings` starts with
`answer`: the position of its recording among those given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from mmer_ray.errors import MAX_MESSAGE_CHARS, Flag
from mmer_ray.lake.columns import (
    clean,
    metadata_items,
    milliseconds,
    ms_column,
    score_column,
    split_ms,
    text_column,
)
from mmer_ray.measure_columns import MEASURES, Measure
from mmer_ray.records import (
    CallMeasures,
    Emotion,
    Recording,
    ScoredRecording,
    SpeakerTurn,
    Utterance,
    WindowPieces,
    Word,
)
from mmer_ray.tables import CLASSES, DATA_TABLES, SCHEMAS
from mmer_ray.transcripts.mark import mark_of

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


NOT_ANSWERED = ("active_scorers", "corpus_facts", "speaker_edits", "annotations", "erasures")
"""Tables whose rows no recording's answer makes."""
ANSWER_SCHEMAS = {name: _schema(name) for name in DATA_TABLES if name not in NOT_ANSWERED}


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


def recordings_table(scored: Sequence[ScoredRecording], keys: Keys) -> pa.Table:
    """The row of each recording."""
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
            "heard_key": [(one.heard_key or keys.heard) if one.status == "scored" else None for one in scored],
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


def _given_key(one: ScoredRecording, what: Literal["words", "turns"]) -> str | None:
    """In place of a stage's key where no model answered: the digest of the given files."""
    mark = mark_of(one.recording.modified)
    return f"given:{mark.digest}" if mark and getattr(mark, what) else None


def results_table(heard: Sequence[tuple[int, ScoredRecording]], keys: Keys) -> pa.Table:
    """What was heard in each audio. Takes positions and recordings."""
    facts = [one.audio for _, one in heard if one.audio is not None]
    splits = [_split(one) for _, one in heard]
    return _table(
        "results",
        {
            "answer": [at for at, _ in heard],
            "decode_key": [keys.decode] * len(heard),
            "diarize_key": [_given_key(one, "turns") or keys.diarize for _, one in heard],
            "transcribe_key": [_given_key(one, "words") or keys.transcribe for _, one in heard],
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
            "dropped_words": [_dropped_words(one) for _, one in heard],
            **dict.fromkeys(("source_key", "recluster"), [None] * len(heard)),
        },
    )


def _dropped_words(one: ScoredRecording) -> list[tuple[str, int]]:
    counts: Counter[str] = Counter()
    for dropped in one.dropped:
        counts[dropped.reason] += dropped.num_words
    return sorted(counts.items())


def utterances_table(rows: Sequence[tuple[int, int, Utterance]]) -> pa.Table:
    """Takes positions, indices and utterances."""
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
            "speaker_confidence": score_column([one.speaker_confidence for one in said]),
        },
    )


def words_table(utterances: Sequence[tuple[int, int, Utterance]]) -> pa.Table:
    """Takes positions, indices and utterances."""
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


def turns_table(rows: Sequence[tuple[int, int, SpeakerTurn]]) -> pa.Table:
    """Takes positions, indices and turns."""
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
            "confidence": score_column([turn.confidence for turn in turns]),
        },
    )


def pieces_table(rows: Sequence[tuple[int, WindowPieces]]) -> pa.Table:
    """Takes positions and what was kept of a window."""
    windows = [window for _, window in rows]
    numbers = ("window_idx", "channel", "start_sample", "num_samples", "one_speaker")
    return _table(
        "pieces",
        {
            "answer": [at for at, _ in rows],
            **{name: [getattr(window, name) for window in windows] for name in numbers},
            **{name: [getattr(one.kept, name) for one in windows] for name in ("num_pieces", "embeddings", "activity")},
        },
    )


def emotions_table(rows: Sequence[tuple[int, int, Emotion]]) -> pa.Table:
    """Takes positions, indices of utterances and their emotions."""
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


def calls_table(rows: Sequence[tuple[int, ScoredRecording]], keys: Keys) -> pa.Table:
    """The measures of each conversation. Takes positions and recordings."""
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
            **measure_columns(measures),
        },
    )


def measure_columns(measures: Sequence[CallMeasures | None]) -> dict[str, Any]:
    """The columns of `calls` that hold measures; None: nothing was measured."""
    known = [one or _NOTHING for one in measures]
    columns: dict[str, Any] = {}
    for measure in MEASURES:
        values = [getattr(one, measure.field) for one in known]
        if len(measure.columns) > 1:
            # A conversation without an answer has an empty tuple.
            rows = [(*some, *[None] * len(measure.columns))[: len(measure.columns)] for some in values]
            columns |= {name: score_column([row[at] for row in rows]) for at, name in enumerate(measure.columns)}
        else:
            columns[measure.columns[0]] = _measure_column(measure, values)
    return columns


def _measure_column(measure: Measure, values: list[Any]) -> Any:
    if measure.is_map and measure.is_ms:
        return [[(clean(name), milliseconds(s)) for name, s in sorted(one.items())] for one in values]
    if measure.is_map:
        return [_rates(one) for one in values]
    if measure.is_ms:
        return ms_column(values)
    return values if measure.is_count else score_column(values)


_NOTHING = CallMeasures(0, {}, 0.0, 0.0, 0, {}, 0.0)


def _rates(by_speaker: Mapping[str, float]) -> list[tuple[str, float | None]]:
    rates = score_column(list(by_speaker.values())).to_pylist()
    return sorted(zip(map(clean, by_speaker), rates, strict=True))
