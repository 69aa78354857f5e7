"""The lake's tables: their columns, how they are sorted and partitioned. `lake/rows.py` makes the rows.

Times are int32 milliseconds from the start of the recording, scores float32 rounded to 1e-3 (half the size on
disk), absolute times microseconds UTC. No unsigned, 16-bit float or duration columns: Delta changes or refuses them.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

SCHEMA_VERSION = 1
"""Raised when a table changes in a way that older readers misread."""

Row = dict[str, Any]
Rows = dict[str, list[Row]]
"""Table name -> its rows."""

CLASSES = ("angry", "happy", "neutral", "sad", "fear", "disgust", "surprise", "contempt")
"""Emotion classes with a column of their own; all others add up in `p_other`."""

FINGERPRINT_STAGES = ("decode", "diarize", "transcribe", "emotion", "link")
FINGERPRINT_COLUMNS = tuple(f"{stage}_fingerprint" for stage in FINGERPRINT_STAGES)

_TEXT, _INT, _LONG, _SCORE, _FLAG = pa.string(), pa.int32(), pa.int64(), pa.float32(), pa.bool_()
_INSTANT = pa.timestamp("us", tz="UTC")
_PLACE: list[tuple[str, pa.DataType]] = [("corpus", _TEXT), ("month", _TEXT), ("day", pa.date32())]


def _columns(data_type: pa.DataType, names: str) -> list[tuple[str, pa.DataType]]:
    return [(name, data_type) for name in names.split()]


SCHEMAS: dict[str, pa.Schema] = {
    "recordings": pa.schema(
        _columns(_TEXT, "recording_id")
        + _PLACE
        + _columns(_TEXT, "uri modified")
        + _columns(_LONG, "size_bytes")
        + _columns(_INT, "expected_ms duration_ms channels sample_rate_hz")
        + _columns(_TEXT, "codec container")
        + [("flags", pa.list_(_TEXT))]
        + _columns(_INT, "speech_ms non_speech_ms overlap_ms num_speakers")
        + [("language", _TEXT), ("language_p", _SCORE)]
        + _columns(_TEXT, "status error_code error_stage error_message")
        + [("attempts", _INT), ("is_copy", _FLAG), ("metadata", pa.map_(_TEXT, _TEXT))]
        + _columns(_TEXT, " ".join(FINGERPRINT_COLUMNS))
        + _columns(_TEXT, "run_id commit_id result_commit_id")
    ),
    "utterances": pa.schema(
        _columns(_TEXT, "recording_id")
        + _PLACE
        + _columns(_INT, "utterance_idx channel")
        + _columns(_TEXT, "speaker role")
        + _columns(_INT, "start_ms end_ms")
        + _columns(_TEXT, "text language")
        + [("language_p", _SCORE), ("num_words", _INT), ("asr_logprob", _SCORE), ("overlap_ms", _INT)]
        + [("snr_db", _SCORE), ("run_id", _TEXT), ("commit_id", _TEXT)]
    ),
    "words": pa.schema(
        _columns(_TEXT, "recording_id")
        + _PLACE
        + _columns(_INT, "utterance_idx word_idx")
        + [("word", _TEXT), ("start_ms", _INT), ("end_ms", _INT), ("p", _SCORE), ("commit_id", _TEXT)]
    ),
    "emotions": pa.schema(
        _columns(_TEXT, "recording_id")
        + _PLACE
        + [("utterance_idx", _INT), ("scorer", _TEXT), ("label", _TEXT)]
        + _columns(_SCORE, " ".join(f"p_{name}" for name in (*CLASSES, "other")))
        + _columns(_SCORE, "valence arousal dominance confidence")
        + _columns(_TEXT, "skip_reason commit_id")
    ),
    "calls": pa.schema(
        _columns(_TEXT, "recording_id")
        + _PLACE
        + [("num_utterances", _INT), ("talk_ms", pa.map_(_TEXT, _INT))]
        + _columns(_INT, "silence_ms overlap_ms interruptions longest_monologue_ms")
        + [("words_per_minute", pa.map_(_TEXT, _SCORE))]
        + _columns(_SCORE, "valence_q1 valence_q2 valence_q3 valence_q4")
        + [("worst_window_start_ms", _INT), ("worst_window_valence", _SCORE), ("commit_id", _TEXT)]
    ),
    "runs": pa.schema(
        _columns(_TEXT, "run_id status")
        + _columns(_INSTANT, "started_at written_at")
        + _columns(_TEXT, "profile options git_revision")
        + [(name, pa.map_(_TEXT, _TEXT)) for name in ("versions", "model_digests", "fingerprints")]
        + _columns(_LONG, "num_planned num_known num_scored num_copied num_failed num_unreached num_utterances")
        + _columns(_LONG, "planned_ms scored_ms quarantined_ms unreached_ms speech_ms non_speech_ms")
        + [("wall_s", pa.float64()), ("stage_s", pa.map_(_TEXT, pa.float64())), ("gpu_s", pa.map_(_TEXT, pa.float64()))]
    ),
    "commits": pa.schema(
        _columns(_LONG, "sequence")
        + _columns(_TEXT, "commit_id run_id")
        + [("committed_at", _INSTANT), ("scorer", _TEXT)]
        + _columns(_LONG, "num_recordings num_utterances num_words num_emotions")
    ),
}
"""Table -> columns. `result_commit_id` of a recording names the commit that holds its utterances: its own, or
that of the first file with the same bytes. `runs` has a row for the start and one for the end of each job."""

DATA_TABLES = ("utterances", "words", "emotions", "calls", "recordings")
"""The tables a commit appends to, in this order, before the row in `commits` makes it visible."""

SORT_KEYS = {
    "utterances": ("day", "recording_id", "start_ms", "utterance_idx"),
    "words": ("day", "recording_id", "utterance_idx", "word_idx"),
    "emotions": ("day", "recording_id", "utterance_idx", "scorer"),
    "calls": ("day", "recording_id"),
    "recordings": ("day", "recording_id", "uri"),
}


def partition_columns(table: str) -> list[str]:
    """The columns that a table's folders are named by: corpus and month where it has them."""
    return [name for name in ("corpus", "month") if name in SCHEMAS[table].names]


LOG_STATISTICS = {
    "recordings": ("recording_id", "day", "status", "duration_ms"),
    "utterances": ("recording_id", "day", "start_ms", "end_ms"),
    "words": ("recording_id", "day"),
    "emotions": ("recording_id", "day", "scorer"),
    "calls": ("recording_id", "day"),
    "runs": ("run_id", "status"),
    "commits": ("sequence", "commit_id"),
}
"""Columns whose extremes the commit log keeps. The log outlives erased rows, so nothing personal is among
them: no text, no word, no uri, no message, no metadata."""
