"""The rows that one scored recording becomes, in every table of the lake.

Pure functions: the same recording, stamp and key give the same rows.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from mmer_ray.audio.sniff import mislabelled
from mmer_ray.errors import MAX_MESSAGE_CHARS, Flag
from mmer_ray.records import Emotion, Recording, ScoredRecording, Utterance
from mmer_ray.tables import CLASSES, DATA_TABLES, FINGERPRINT_STAGES, SCHEMAS, SORT_KEYS, Row, Rows

MAX_MS = 2**31 - 1
LOST_AUDIO_S = 1e-3
"""Below the tables' resolution, speech and non-speech are taken to sum to the duration: see `split_ms`."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What made a row: the job, the commit it became visible with, and the stages' fingerprints."""

    run_id: str
    commit_id: str
    fingerprints: Mapping[str, str]
    """Stage -> fingerprint, for every stage of `FINGERPRINT_STAGES`."""


def uri_id(uri: str, key: bytes) -> str:
    """The recording_id of a recording whose bytes could not be read; never equal to that of any bytes."""
    return hashlib.blake2b(clean(uri).encode(), digest_size=16, key=key, person=b"mmer_ray uri").hexdigest()


def milliseconds(seconds: float) -> int:
    """The nearest millisecond (ties to even) that an int32 column holds; a header can claim any length."""
    return min(max(round(seconds * 1000), 0), MAX_MS) if math.isfinite(seconds) else 0


def split_ms(duration_s: float, speech_s: float, non_speech_s: float) -> tuple[int, int, int]:
    """Duration, speech and non-speech in milliseconds, rounded so that the ledger only sees lost audio.

    Three independent roundings would differ by up to a millisecond on sound audio, and 16 kHz samples put one
    length in sixteen exactly on a tie: over thousands of recordings that hides or feigns a loss. So speech and
    duration are rounded, and non-speech is what is left of the *sum* of both parts: where that sum meets the
    duration to within the tables' resolution the rows sum exactly, and a real gap stays as wide as it was.
    """
    accounted_s = speech_s + non_speech_s
    if abs(accounted_s - duration_s) < LOST_AUDIO_S:
        accounted_s = duration_s
    speech_ms = milliseconds(speech_s)
    return milliseconds(duration_s), speech_ms, milliseconds(accounted_s) - speech_ms


def rows_of(scored: ScoredRecording, stamp: Stamp, key: bytes) -> Rows:
    """All rows of one recording. A failed recording has a row in `recordings` alone."""
    row = recording_row(scored, stamp, key)
    rows: Rows = {name: [] for name in DATA_TABLES} | {"recordings": [row]}
    if scored.status == "failed":
        return rows
    place = {name: row[name] for name in ("recording_id", "corpus", "day", "month")} | {"commit_id": stamp.commit_id}
    for index, utterance in enumerate(scored.utterances):
        unit = place | {"utterance_idx": index}
        rows["utterances"].append(unit | {"run_id": stamp.run_id} | _utterance_row(utterance))
        rows["words"].extend(unit | word for word in _word_rows(utterance))
        rows["emotions"].extend(unit | _emotion_row(emotion) for emotion in utterance.emotions)
    if scored.measures is not None:
        rows["calls"].append(place | _call_row(scored))
    return rows


def recording_row(scored: ScoredRecording, stamp: Stamp, key: bytes) -> Row:
    """The row in `recordings`: facts of the file, of its audio, and of what became of it."""
    audio, failure = scored.audio, scored.failure
    is_scored = scored.status == "scored"
    assert (audio is not None) if is_scored else (failure is not None), f"{scored.recording.uri}: {scored.status}?"
    row: Row = source_columns(scored.recording)
    row["recording_id"] = audio.recording_id if audio else uri_id(scored.recording.uri, key)
    row["duration_ms"] = milliseconds(audio.duration_s) if audio else None
    row["channels"] = audio.channels if audio else None
    row["sample_rate_hz"] = audio.sample_rate_hz if audio else None
    row["codec"] = audio.codec if audio else None
    row["container"] = audio.container if audio else None
    row["flags"] = _flags(audio.flags, scored.recording.uri, audio.container) if audio else []
    if audio and is_scored:
        split = split_ms(audio.duration_s, scored.speech_s, scored.non_speech_s)
        row["duration_ms"], row["speech_ms"], row["non_speech_ms"] = split
        row["overlap_ms"] = milliseconds(scored.overlap_s)
        row["num_speakers"] = scored.num_speakers
        row["language"], row["language_p"] = scored.language, _score(scored.language_p)
    row["status"] = scored.status
    row["error_code"] = str(failure.code) if failure else None
    row["error_stage"] = failure.stage if failure else None
    row["error_message"] = clean(failure.message)[:MAX_MESSAGE_CHARS] if failure else None
    row["attempts"], row["is_copy"] = scored.recording.attempt, False
    row |= {f"{stage}_fingerprint": stamp.fingerprints[stage] for stage in FINGERPRINT_STAGES}
    made_by = {"run_id": stamp.run_id, "commit_id": stamp.commit_id}
    return row | made_by | {"result_commit_id": stamp.commit_id if is_scored else None}


def copied_row(row: Row, recording: Recording, stamp: Stamp) -> Row:
    """The row of a file with the same bytes as the recording that `row` describes."""
    made_by = {"run_id": stamp.run_id, "commit_id": stamp.commit_id}
    flags = _flags(row["flags"], recording.uri, row["container"])
    own = {"is_copy": True, "attempts": recording.attempt, "flags": flags}
    return row | source_columns(recording) | made_by | own


def _flags(flags: Iterable[str], uri: str, container: str) -> list[str]:
    """Flags found in bytes, and the one that comes of the file's name: of two files with equal bytes one may lie."""
    of_bytes = {str(flag) for flag in flags} - {str(Flag.MISLABELLED)}
    of_name = {str(Flag.MISLABELLED)} if mislabelled(uri.rpartition("/")[2], container) else set()
    return sorted(of_bytes | of_name)


def source_key(recording: Recording) -> tuple[str, str]:
    """The (corpus, uri) under which the lake knows a recording."""
    return clean(recording.corpus), clean(recording.uri)


def source_columns(recording: Recording) -> Row:
    """What the planner knew before a byte was decoded."""
    expected_s, day = recording.expected_s, date.fromisoformat(recording.day)
    metadata = {clean(name): clean(value) for name, value in recording.metadata.items()}
    return {
        "corpus": clean(recording.corpus),
        "day": day,
        "month": day.isoformat()[:7],
        "uri": clean(recording.uri),
        "size_bytes": recording.size_bytes,
        "modified": clean(recording.modified),
        "expected_ms": None if expected_s is None else milliseconds(expected_s),
        "metadata": sorted(metadata.items()),
    }


def arrow_table(name: str, rows: Iterable[Row]) -> pa.Table:
    """Rows as a table of the lake: every column present, sorted as the lake is."""
    keys = SORT_KEYS.get(name, ())
    ordered = sorted(rows, key=lambda row: tuple(row[column] for column in keys)) if keys else list(rows)
    return pa.Table.from_pylist(ordered, schema=SCHEMAS[name])


def _utterance_row(utterance: Utterance) -> Row:
    return {
        "channel": utterance.channel,
        "speaker": utterance.speaker,
        "role": utterance.role,
        "start_ms": milliseconds(utterance.start_s),
        "end_ms": milliseconds(utterance.end_s),
        "text": clean(utterance.text),
        "language": utterance.language,
        "language_p": _score(utterance.language_p),
        "num_words": len(utterance.words),
        "asr_logprob": _score(utterance.asr_logprob),
        "overlap_ms": milliseconds(utterance.overlap_s),
        "snr_db": _score(utterance.snr_db),
    }


def _word_rows(utterance: Utterance) -> Iterable[Row]:
    for index, word in enumerate(utterance.words):
        yield {
            "word_idx": index,
            "word": clean(word.word),
            "start_ms": None if word.start_s is None else milliseconds(word.start_s),
            "end_ms": None if word.end_s is None else milliseconds(word.end_s),
            "p": _score(word.p),
        }


def _emotion_row(emotion: Emotion) -> Row:
    probabilities: dict[str, float | None] = {f"p_{name}": emotion.probabilities.get(name) for name in CLASSES}
    others = [p for name, p in sorted(emotion.probabilities.items()) if name not in CLASSES]
    probabilities["p_other"] = sum(others) if others else None
    dimensions = ("valence", "arousal", "dominance", "confidence")
    return {
        "scorer": emotion.scorer,
        "label": emotion.label,
        "skip_reason": emotion.skip_reason,
        **{name: _score(p) for name, p in probabilities.items()},
        **{name: _score(getattr(emotion, name)) for name in dimensions},
    }


def _call_row(scored: ScoredRecording) -> Row:
    measures = scored.measures
    assert measures is not None
    quarters = (*measures.valence_by_quarter, None, None, None, None)[:4]
    worst_s = measures.worst_window_start_s
    return {
        "num_utterances": measures.num_utterances,
        "talk_ms": sorted((speaker, milliseconds(talk)) for speaker, talk in measures.talk_s.items()),
        "silence_ms": milliseconds(measures.silence_s),
        "overlap_ms": milliseconds(measures.overlap_s),
        "interruptions": measures.interruptions,
        "longest_monologue_ms": milliseconds(measures.longest_monologue_s),
        "words_per_minute": sorted((speaker, _score(rate)) for speaker, rate in measures.words_per_minute.items()),
        **{f"valence_q{quarter}": _score(valence) for quarter, valence in enumerate(quarters, start=1)},
        "worst_window_start_ms": None if worst_s is None else milliseconds(worst_s),
        "worst_window_valence": _score(measures.worst_window_valence),
    }


def _score(value: float | None) -> float | None:
    """Rounded to 1e-3; not a number becomes null, so that one of them does not void every average over it."""
    if value is None or not math.isfinite(value):
        return None
    return round(value, 3) + 0.0  # -0.0 + 0.0 is 0.0: equal scores are equal bytes


def clean(text: str) -> str:
    """File names and tags may hold bytes that are no text (lone surrogates), which Parquet cannot."""
    return text.encode("utf-8", "replace").decode()
