"""The lake's tables: their columns, how they are sorted and partitioned. `lake/answers.py` makes the rows.

Results hang on the audio: `recordings` says which file of which corpus is which audio (`recording_id`), and the
tables of results are keyed by (recording_id, heard_key), those of emotions by a scorer besides. Times are int32
milliseconds from the start of the recording, scores float32 rounded to 1e-3 (half the size on disk), absolute times
microseconds UTC. No unsigned, 16-bit float or duration columns: Delta changes or refuses them.
"""

# ruff: noqa: RUF005

from __future__ import annotations

from typing import Any

import pyarrow as pa

from mmer_ray.measure_columns import MEASURES

SCHEMA_VERSION = 3
"""Raised when a table changes in a way that older readers misread. Lakes of every earlier version still open.

1: results stood in `recordings`. 2: results hang on the audio. 3: `speaker_edits` change what readers see, and
`erasures` what may be scored; version 2 knows neither."""

Row = dict[str, Any]

CLASSES = ("angry", "happy", "neutral", "sad", "fear", "disgust", "surprise", "contempt")
"""Emotion classes with a column of their own; all others add up in `p_other`."""

SUMMED = ("valence", "arousal", "dominance", "confidence")
"""Scores of which a day's sums are kept."""

_TEXT, _INT, _LONG, _SCORE, _FLAG = pa.string(), pa.int32(), pa.int64(), pa.float32(), pa.bool_()
_INSTANT = pa.timestamp("us", tz="UTC")
_PLACE: list[tuple[str, pa.DataType]] = [
    ("recording_id", _TEXT), ("corpus", _TEXT), ("month", _TEXT), ("day", pa.date32())
]  # fmt: skip


def _columns(data_type: pa.DataType, names: str) -> list[tuple[str, pa.DataType]]:
    return [(name, data_type) for name in names.split()]


_STAMP = _columns(_TEXT, "run_id commit_id")

LISTED = pa.schema(
    _columns(_TEXT, "corpus uri root")
    + [("size_bytes", _LONG), ("modified", _TEXT), ("day", pa.date32()), ("expected_ms", _INT)]
    + [("metadata", pa.map_(_TEXT, _TEXT))]
)
"""What a source lists of a file before it is opened: the fields of `records.Recording`, in milliseconds where it has
seconds. `expected_ms` is null where the length is not known."""

SCHEMAS: dict[str, pa.Schema] = {
    "recordings": pa.schema(
        _PLACE
        + _columns(_TEXT, "uri modified")
        + [("size_bytes", _LONG), ("expected_ms", _INT), ("metadata", pa.map_(_TEXT, _TEXT))]
        + [("flags", pa.list_(_TEXT))]
        + _columns(_TEXT, "status error_code error_stage error_message")
        + [("attempts", _INT), ("is_copy", _FLAG)]
        + _columns(_TEXT, "decode_key limits_key heard_key")
        + _STAMP
    ),
    "results": pa.schema(
        _PLACE
        + _columns(_TEXT, "heard_key decode_key diarize_key transcribe_key")
        + _columns(_INT, "duration_ms channels sample_rate_hz")
        + _columns(_TEXT, "codec container")
        + [("flags", pa.list_(_TEXT))]
        + _columns(_INT, "speech_ms non_speech_ms overlap_ms num_speakers")
        + [("language", _TEXT), ("language_p", _SCORE), ("num_utterances", _INT)]
        + [("dropped_words", pa.map_(_TEXT, _INT))]
        + _columns(_TEXT, "source_key recluster")
        + _STAMP
    ),
    "utterances": pa.schema(
        _PLACE
        + [("heard_key", _TEXT)]
        + _columns(_INT, "utterance_idx channel")
        + [("speaker", _TEXT), ("speaker_is_channel", _FLAG)]
        + _columns(_INT, "start_ms end_ms")
        + _columns(_TEXT, "text language")
        + [("language_p", _SCORE), ("num_words", _INT), ("asr_logprob", _SCORE), ("overlap_ms", _INT)]
        + [("snr_db", _SCORE), ("dialogue_idx", _INT), ("fallback_reason", _TEXT), ("speaker_confidence", _SCORE)]
        + _STAMP
    ),
    "words": pa.schema(
        _PLACE
        + [("heard_key", _TEXT)]
        + _columns(_INT, "utterance_idx word_idx")
        + [("word", _TEXT), ("start_ms", _INT), ("end_ms", _INT), ("p", _SCORE), ("commit_id", _TEXT)]
    ),
    "turns": pa.schema(
        _PLACE
        + [("heard_key", _TEXT)]
        + _columns(_INT, "turn_idx channel")
        + [("speaker", _TEXT), ("start_ms", _INT), ("end_ms", _INT), ("confidence", _SCORE), ("commit_id", _TEXT)]
    ),
    "pieces": pa.schema(
        _PLACE
        + [("heard_key", _TEXT)]
        + _columns(_INT, "window_idx channel")
        + _columns(_LONG, "start_sample num_samples")
        + [("one_speaker", _FLAG), ("num_pieces", _INT)]
        + _columns(pa.binary(), "embeddings activity")
        + [("commit_id", _TEXT)]
    ),
    "emotions": pa.schema(
        _PLACE
        + [("heard_key", _TEXT), ("utterance_idx", _INT), ("scorer", _TEXT), ("label", _TEXT)]
        + _columns(_SCORE, " ".join(f"p_{name}" for name in (*CLASSES, "other")))
        + _columns(_SCORE, "valence arousal dominance confidence")
        + _columns(_TEXT, "skip_reason commit_id")
    ),
    "calls": pa.schema(
        _PLACE
        + _columns(_TEXT, "heard_key scorer emotion_key link_key")
        + [("channel_roles", pa.list_(_TEXT)), ("has_emotions", _FLAG)]
        + [(column, measure.data_type) for measure in MEASURES for column in measure.columns]
        + _STAMP
    ),
    "active_scorers": pa.schema(_columns(_TEXT, "corpus scorer") + [("activated_at", _INSTANT)] + _STAMP),
    "corpus_facts": pa.schema(
        _columns(_TEXT, "corpus legal_basis")
        + [("notice_given", _FLAG)]
        + _columns(_TEXT, "stated_by")
        + [("stated_at", _INSTANT)]
        + _STAMP
    ),
    "speaker_edits": pa.schema(
        _PLACE
        + _columns(_TEXT, "heard_key edit_id action speaker target")
        + [(name, pa.list_(_INT)) for name in ("utterances", "turns")]
        + [("author", _TEXT), ("edited_at", _INSTANT)]
        + _STAMP
    ),
    "annotations": pa.schema(
        _PLACE
        + [("heard_key", _TEXT)]
        + _columns(_INT, "utterance_idx channel start_ms end_ms")
        + _columns(_TEXT, "rater label")
        + _columns(_SCORE, "valence arousal dominance")
        + [("annotated_at", _INSTANT)]
        + _columns(_TEXT, "verdict scorer text")
        + _STAMP
    ),
    "erasures": pa.schema(
        _columns(_TEXT, "recording_hash uri_hash")
        + [("size_bytes", _LONG)]
        + _columns(_TEXT, "corpus scope reason")
        + [("erased_at", _INSTANT)]
        + _STAMP
    ),
    "serving_utterances": pa.schema(
        _PLACE
        + [("heard_key", _TEXT)]
        + _columns(_INT, "utterance_idx channel")
        + _columns(_TEXT, "speaker speaker_name role")
        + _columns(_INT, "start_ms end_ms")
        + _columns(_TEXT, "text language")
        + _columns(_INT, "num_words overlap_ms")
        + _columns(_SCORE, "asr_logprob snr_db speaker_confidence")
        + _columns(_TEXT, "scorer label")
        + _columns(_SCORE, " ".join(f"p_{name}" for name in (*CLASSES, "other")))
        + _columns(_SCORE, "valence arousal dominance confidence")
        + _columns(_TEXT, "skip_reason build_id")
    ),
    "day_rollup": pa.schema(
        _columns(_TEXT, "corpus month")
        + [("day", pa.date32())]
        + _columns(_TEXT, "role scorer label")
        + _columns(_LONG, "num_utterances speech_ms num_words overlap_ms")
        + [column for name in SUMMED for column in ((f"num_{name}", _LONG), (f"{name}_sum", pa.float64()))]
        + [("build_id", _TEXT)]
    ),
    "serving_sources": pa.schema(_PLACE + [("source", _TEXT), ("num_utterances", _LONG), ("build_id", _TEXT)]),
    "runs": pa.schema(
        _columns(_TEXT, "run_id status")
        + _columns(_INSTANT, "started_at written_at")
        + _columns(_TEXT, "profile options git_revision")
        + [(name, pa.map_(_TEXT, _TEXT)) for name in ("versions", "model_digests", "keys")]
        + _columns(_LONG, "num_planned num_known num_received num_scored num_copies num_failed num_unreached")
        + _columns(_LONG, "num_erased erased_ms")
        + _columns(_LONG, "num_utterances planned_ms scored_ms quarantined_ms unreached_ms speech_ms non_speech_ms")
        + [("wall_s", pa.float64()), ("stage_s", pa.map_(_TEXT, pa.float64())), ("gpu_s", pa.map_(_TEXT, pa.float64()))]
    ),
    "commits": pa.schema(
        _columns(_LONG, "sequence")
        + _columns(_TEXT, "commit_id run_id")
        + [("committed_at", _INSTANT), ("scorer", _TEXT)]
        + _columns(_LONG, "num_recordings num_results num_utterances num_words num_turns num_emotions num_calls")
        + _columns(_LONG, "num_active_scorers num_pieces num_speaker_edits num_erasures num_annotations")
        + [("num_corpus_facts", _LONG)]
    ),
}
"""Table -> columns.

- `recordings`: one row per (corpus, uri) counts, the newest. `flags` are those of the file's name; `heard_key` says
  which results are this file's; null where it failed.
- `results`: what was found in the audio, once per (recording_id, heard_key); `flags` are those of the bytes.
  `dropped_words`: reason -> words that the recognizer read and did not believe, in no utterance. Where words or turns
  were given, `transcribe_key` or `diarize_key` is `given:` and the digest of the files. Where speakers were counted
  again, `source_key` is the heard_key that it was made of and `recluster` the options, as JSON; else both are null.
  A hearing without an erased speaker is one of those: `recluster` says how many are missing.
- `turns.confidence`, `utterances.speaker_confidence`: by `diarizers/confidence.py`; null where nobody else speaks.
- `pieces`: a row per window: what speakers can be counted from again (`records.WindowPieces`). None where each channel
  is a speaker, or the diarizer keeps nothing, and none of a hearing that was made of another.
- `calls`: one row per (recording_id, heard_key, scorer), also for audio without an utterance: it says that emotion and
  link were done, and with which keys. `has_emotions`: the commit holds the emotions too (false: measures alone).
- `active_scorers`: the newest row per corpus counts.
- `corpus_facts`: what somebody stated about a corpus; of each column the newest that is not null counts. `legal_basis`:
  on what ground its people are recorded and scored; `notice_given`: whether they were told that their emotions are.
- `speaker_edits`: what people changed about the speakers of one hearing, replayed in the order of commits. `action` is
  `rename` (`speaker` is called `target`), `merge` (`speaker` is `target`), `split` (these `utterances` of `speaker` and
  these `turns` are `target`, a new one) or `undo` (`target` is the `edit_id` that no longer counts). `speaker` is an id
  as of that moment, `utterances` and `turns` are `utterance_idx` and `turn_idx`. Measures are made again in the same
  commit; the rows of utterances, turns and results stay as they were heard.
- `annotations`: what a person heard in one utterance of one hearing: a class, dimensions on -1..1 where the person gave
  them. Of one rater's on one utterance the newest counts. The times are those of the utterance, so that the label
  outlives the hearing; `label` is any word, not only those of `CLASSES`. `verdict` says whether the answer of `scorer`
  is `right` or `wrong`; with `right` the label is that answer's, with `wrong` it may be null. `text` is what was said,
  where the recognizer heard wrong. A row with none of the three takes back what the rater said before. `corpus` is the
  one in which it was said, `written_in` in the view: other corpora may have the same audio.
- `erasures`: files and audio that were erased and are not scored again: keyed hashes, never a name or an id
  (`lake/erased.py`). `scope`: `recording` (all of it is gone), `speaker` (one speaker is: it is not heard again),
  `rows` (some tables' rows are: it is not worked on again) or `readmitted` (earlier rows no longer count). `corpus`:
  the only one that the row speaks of, null for all. `reason` is the user's, `retention` where an age was reached.
- `serving_utterances`: what each corpus is shown of each utterance, with its active scorer's answer, in one wide row.
- `day_rollup`: the same summed up by day, corpus, role, scorer and label. `num_valence` utterances have a valence, and
  `valence_sum` is its sum; so it is with each of `SUMMED`.
- `serving_sources`: what the two were made of: `source` is a digest of all that decides a recording's rows.
- `runs`: a row for the start and one for the end of each job."""

V1_COLUMNS: dict[str, pa.Schema] = {
    "recordings": pa.schema(
        _columns(_INT, "duration_ms channels sample_rate_hz")
        + _columns(_TEXT, "codec container")
        + _columns(_INT, "speech_ms non_speech_ms overlap_ms num_speakers")
        + [("language", _TEXT), ("language_p", _SCORE), ("result_commit_id", _TEXT)]
    ),
    "utterances": pa.schema([("role", _TEXT)]),
    "runs": pa.schema([("num_copied", _LONG), ("fingerprints", pa.map_(_TEXT, _TEXT))]),
}
"""Columns of version 1 that are read where a lake still has them, and written no more. There the results stood in
`recordings`, and `result_commit_id` named the commit that holds a recording's utterances."""

DATA_TABLES = (
    "results",
    "utterances",
    "words",
    "turns",
    "pieces",
    "emotions",
    "calls",
    "active_scorers",
    "corpus_facts",
    "speaker_edits",
    "annotations",
    "erasures",
    "recordings",
)
"""The tables a commit appends to, in this order, before the row in `commits` makes it visible."""

DERIVED_TABLES = ("serving_utterances", "day_rollup", "serving_sources")
"""Tables that compaction makes of the others, a partition of all three in this order; `build_id` is that of the
compaction, equal in the three. A reader uses them where they are still true (`lake/serving.py`)."""


SORT_KEYS = {
    "recordings": ("day", "recording_id", "uri"),
    "results": ("day", "recording_id"),
    "utterances": ("day", "recording_id", "utterance_idx"),
    "words": ("day", "recording_id", "utterance_idx", "word_idx"),
    "turns": ("day", "recording_id", "turn_idx"),
    "pieces": ("day", "recording_id", "window_idx"),
    "emotions": ("day", "recording_id", "utterance_idx"),
    "calls": ("day", "recording_id"),
    "active_scorers": ("commit_id",),
    "corpus_facts": ("commit_id",),
    "speaker_edits": ("day", "recording_id"),
    "annotations": ("day", "recording_id", "utterance_idx", "rater"),
    "erasures": ("commit_id",),
    "serving_utterances": ("day", "recording_id", "utterance_idx"),
    "day_rollup": ("day", "role", "scorer", "label"),
    "serving_sources": ("day", "recording_id"),
    "runs": ("run_id", "written_at"),
    "commits": ("sequence",),
}
"""How the rows of one commit, and all rows of a compacted partition, lie in their files; utterances and turns are
numbered by their start."""


def partition_columns(table: str) -> list[str]:
    """The columns that a table's folders are named by: corpus and month where it has both."""
    names = ["corpus", "month"]
    return names if set(names) <= set(SCHEMAS[table].names) else []


LOG_STATISTICS = {
    "recordings": ("recording_id", "day", "status", "commit_id"),
    "results": ("recording_id", "day", "duration_ms", "commit_id"),
    "utterances": ("recording_id", "day", "start_ms", "end_ms", "commit_id"),
    "words": ("recording_id", "day", "commit_id"),
    "turns": ("recording_id", "day", "commit_id"),
    "pieces": ("recording_id", "day", "commit_id"),
    "emotions": ("recording_id", "day", "scorer", "commit_id"),
    "calls": ("recording_id", "day", "scorer", "commit_id"),
    "active_scorers": ("commit_id",),
    "corpus_facts": ("commit_id",),
    "speaker_edits": ("recording_id", "day", "commit_id"),
    "annotations": ("recording_id", "day", "commit_id"),
    "erasures": ("commit_id",),
    "serving_utterances": ("recording_id", "day", "scorer", "build_id"),
    "day_rollup": ("day", "build_id"),
    "serving_sources": ("recording_id", "day", "build_id"),
    "runs": ("run_id", "status"),
    "commits": ("sequence", "commit_id"),
}
"""Columns whose extremes the commit log keeps; those of `commit_id` tell the files of finished commits from the
others. The log outlives erased rows, so nothing personal is among them: no text, no word, no uri, no message, no
metadata."""
