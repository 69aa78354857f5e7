"""Rows for JSON, of recordings made by hand."""

from __future__ import annotations

import json
import math

from mmer_ray.errors import ErrorCode, Flag
from mmer_ray.records import (
    AudioFacts,
    CallMeasures,
    DroppedWords,
    Emotion,
    Failure,
    Recording,
    ScoredRecording,
    SpeakerTurn,
    Utterance,
    Word,
)
from mmer_ray.serving.rows import TABLES, rows_of
from mmer_ray.stages.keys import Keys

KEYS = Keys("d", "di", "t", "j", "e", "l", "scorer-1", "limits", ("agent", "customer"))
SAID = Utterance(
    0.5,
    1.25,
    0,
    "S1",
    "hello",
    (Word("hello", 0.5, None, 0.12345),),
    language="en",
    asr_logprob=math.nan,
    emotions=(Emotion("scorer-1", "happy", {"happy": 0.75, "bored": 0.25}, 0.75, valence=0.33333),),
)
SCORED = ScoredRecording(
    Recording(uri="/tmp/secret", metadata={"name": "Ann"}),
    "scored",
    audio=AudioFacts("0" * 32, 2.0, 1, 8_000, "pcm", "wav", (Flag.NARROWBAND, Flag.MISLABELLED)),
    utterances=(SAID,),
    turns=(SpeakerTurn(0.4, 1.3, 0, "S1", 0.5),),
    dropped=(DroppedWords("no_sound", 2, 1.5, 1.75),),
    scorer="scorer-1",
    measures=CallMeasures(1, {"S1": 0.9}, 1.1, 0.0, 0, {"S1": 60.0}, 0.9, (0.33333, None, None, None)),
    num_speakers=1,
    speech_s=0.9,
    non_speech_s=1.1,
)


def test_each_table_has_its_rows_as_values_that_json_keeps() -> None:
    rows = rows_of(SCORED, KEYS)
    assert tuple(rows) == TABLES
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert rows["words"] == [
        {"utterance_idx": 0, "word_idx": 0, "word": "hello", "start_ms": 500, "end_ms": None, "p": 0.123}
    ]
    (said,), (felt,), (call,) = rows["utterances"], rows["emotions"], rows["calls"]
    assert (said["start_ms"], said["end_ms"], said["asr_logprob"]) == (500, 1_250, None)
    assert (felt["label"], felt["p_happy"], felt["p_other"], felt["p_sad"]) == ("happy", 0.75, 0.25, None)
    assert (call["talk_ms"], call["valence_q1"], call["channel_roles"]) == ({"S1": 900}, 0.333, ["agent", "customer"])
    assert rows["results"][0]["dropped_words"] == {"no_sound": 2}


def test_nothing_says_where_the_bytes_lay() -> None:
    rows = rows_of(SCORED, KEYS)
    assert rows["recordings"] == [
        {
            "content_digest": "0" * 32,
            **{"status": "scored", "error_code": None, "error_stage": None, "error_message": None},
            **{"decode_key": "d", "limits_key": "limits", "heard_key": "j"},
        }
    ]
    assert rows["results"][0]["flags"] == ["narrowband"]
    assert not {"answer", "uri", "run_id", "corpus"} & {name for some in rows.values() for row in some for name in row}


def test_a_failed_recording_has_one_row() -> None:
    failed = ScoredRecording(Recording(uri=""), "failed", failure=Failure(ErrorCode.NO_SAMPLES, "decode", "too short"))
    rows = rows_of(failed, KEYS)
    assert {name: len(some) for name, some in rows.items()} == {**dict.fromkeys(TABLES, 0), "recordings": 1}
    (row,) = rows["recordings"]
    assert (row["content_digest"], row["status"], row["error_code"]) == (None, "failed", "no_samples")
