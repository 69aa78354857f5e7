"""Tasks on their way to an actor."""

from __future__ import annotations

import math
from dataclasses import replace

from mmer_ray.records import (
    Emotion,
    Given,
    GivenWord,
    Recording,
    ScoredRecording,
    SpeakerTurn,
    Task,
    Utterance,
    Word,
)
from mmer_ray.runners.wire import pack, unpack

RECORDING = Recording("/calls/a.wav", "calls", "/calls", 10, "1", "2026-11-20", 3.5, {"queue": "refunds"}, attempt=2)
KNOWN = ScoredRecording(
    RECORDING,
    "scored",
    utterances=(
        Utterance(0.5, 1.25, 1, "S1", "héllo", (Word("héllo", None, None, 0.5),), emotions=(Emotion("m", None),)),
    ),
)


def test_tasks_come_out_as_they_went_in() -> None:
    given = Given((GivenWord("so", 0.5, 1.0, 0.5),), (SpeakerTurn(0.5, 1.0, 0, "A"),), "en")
    tasks = (Task(RECORDING), Task(RECORDING, "emotion", KNOWN), Task(RECORDING, given=given))
    assert unpack(pack(tasks)) == tasks


def test_a_lone_surrogate_in_metadata_is_replaced_and_breaks_nothing() -> None:
    (task,) = unpack(pack([Task(replace(RECORDING, metadata={"note": "half an emoji \ud83d"}))]))
    assert task.recording.metadata == {"note": "half an emoji ?"}


def test_a_number_that_is_none_survives_the_way() -> None:
    known = replace(KNOWN, utterances=(replace(KNOWN.utterances[0], snr_db=math.nan, asr_logprob=-math.inf),))
    (task,) = unpack(pack([Task(RECORDING, "emotion", known)]))
    assert task.known is not None
    (utterance,) = task.known.utterances
    assert utterance.snr_db is not None
    assert math.isnan(utterance.snr_db)
    assert utterance.asr_logprob == -math.inf
