"""One scored recording and the rows it becomes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmer_ray.errors import MAX_MESSAGE_CHARS, ErrorCode
from mmer_ray.lake.conversation import conversation_of
from mmer_ray.lake.rows import MAX_MS, Stamp, arrow_table, milliseconds, rows_of, split_ms, uri_id
from mmer_ray.records import (
    AudioFacts,
    Emotion,
    Failure,
    Recording,
    ScoredRecording,
    Utterance,
    Word,
)
from mmer_ray.tables import CLASSES, DATA_TABLES, SCHEMAS
from tests.lake.makers import FINGERPRINTS, digest, scored

STAMP = Stamp("run", "run.00001", FINGERPRINTS)
KEY = b"mmer_ray"
CALL = Recording("/calls/a.wav", corpus="calls", size_bytes=9, modified="1", day="2026-11-20")

times_s = st.integers(0, 10_000_000).map(lambda ms: ms / 1000)
scores = st.integers(-1000, 1000).map(lambda thousandths: thousandths / 1000)
chances = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
words = st.builds(Word, texts, st.none() | times_s, st.none() | times_s, chances)
emotions = st.builds(
    Emotion,
    scorer=st.just("mmer@1"),
    label=st.none() | st.sampled_from(CLASSES),
    probabilities=st.dictionaries(st.sampled_from((*CLASSES, "other")), chances),
    confidence=st.none() | chances,
    valence=st.none() | scores,
    arousal=st.none() | scores,
    dominance=st.none() | scores,
    skip_reason=st.none() | st.just("too_short"),
)
utterances = st.builds(
    Utterance,
    start_s=times_s,
    end_s=times_s,
    channel=st.integers(0, 1),
    speaker=st.sampled_from(("S1", "S2")),
    text=texts,
    words=st.lists(words, max_size=3).map(tuple),
    language=st.none() | st.just("en"),
    language_p=st.none() | chances,
    asr_logprob=st.none() | scores,
    overlap_s=times_s,
    snr_db=st.none() | scores,
    role=st.none() | st.just("agent"),
    emotions=st.lists(emotions, max_size=1).map(tuple),
)


def answer(spoken: tuple[Utterance, ...], recording: Recording = CALL) -> ScoredRecording:
    facts = AudioFacts("0" * 32, 60.0, 1, 16_000, "flac", "flac")
    return ScoredRecording(recording, "scored", facts, utterances=spoken, speech_s=20.0, non_speech_s=40.0)


@given(st.lists(utterances, max_size=4).map(tuple))
def test_rows_give_back_what_was_said_when_and_how(spoken: tuple[Utterance, ...]) -> None:
    rows = rows_of(answer(spoken), STAMP, KEY)
    assert rows == rows_of(answer(spoken), STAMP, KEY)
    read = {name: arrow_table(name, rows[name]).to_pylist() for name in DATA_TABLES}
    for name in ("utterances", "words", "emotions"):
        read[name].sort(key=lambda row: (row["utterance_idx"], row.get("word_idx", 0)))
    found = conversation_of(
        read["recordings"][0], "mmer@1", read["utterances"], read["words"], read["emotions"], read["calls"]
    )
    assert found.utterances == spoken


def test_every_value_has_a_column_and_every_column_a_value() -> None:
    rows = rows_of(scored(CALL, "1" * 32), STAMP, KEY)
    for name in DATA_TABLES:
        for row in rows[name]:
            assert set(row) == set(SCHEMAS[name].names), name


def test_scores_are_rounded_to_a_thousandth_and_zero_has_no_sign() -> None:
    emotion = Emotion("m", "sad", {"sad": 0.98765, "frustrated": 0.01, "excited": 0.0023}, 0.98765, valence=-0.0001)
    (row,) = rows_of(answer((_saying(emotion),)), STAMP, KEY)["emotions"]
    assert (row["p_sad"], row["confidence"]) == (0.988, 0.988)
    assert row["p_other"] == 0.012  # both classes without a column
    assert row["p_angry"] is None
    assert math.copysign(1, row["valence"]) == 1


def test_a_score_that_is_no_number_becomes_null() -> None:
    emotion = Emotion("m", "sad", {"sad": math.nan}, confidence=math.inf)
    (row,) = rows_of(answer((_saying(emotion),)), STAMP, KEY)["emotions"]
    assert row["p_sad"] is None
    assert row["confidence"] is None


def test_a_failed_recording_has_one_row_and_an_id_from_its_uri() -> None:
    failure = Failure(ErrorCode.IO_ERROR, "decode", "x" * 400)
    rows = rows_of(ScoredRecording(CALL, "failed", failure=failure, utterances=(_saying(),)), STAMP, KEY)
    (row,) = rows["recordings"]
    assert row["recording_id"] == uri_id(CALL.uri, KEY)
    assert len(row["recording_id"]) == 32
    assert row["recording_id"] != uri_id(CALL.uri, b"another key")
    assert row["recording_id"] != digest(CALL.uri.encode())  # a file that holds just its own name
    assert (row["status"], row["error_code"], len(row["error_message"])) == ("failed", "io_error", MAX_MESSAGE_CHARS)
    assert row["duration_ms"] is None
    assert row["result_commit_id"] is None
    assert not rows["utterances"]


def test_names_that_are_no_text_are_written_all_the_same() -> None:
    odd = replace(CALL, uri="/calls/\udcff.wav", metadata={"\udcfe": "\udcfd"})
    failure = Failure(ErrorCode.IO_ERROR, "decode", "cannot read \udcff.wav")
    table = arrow_table(
        "recordings", rows_of(ScoredRecording(odd, "failed", failure=failure), STAMP, KEY)["recordings"]
    )
    assert table.column("uri").to_pylist() == ["/calls/?.wav"]
    assert table.column("metadata").to_pylist() == [[("?", "?")]]


@pytest.mark.parametrize(("seconds", "expected"), [(1.0004, 1000), (1e12, MAX_MS), (-3.0, 0), (math.nan, 0)])
def test_a_time_fits_its_column(seconds: float, expected: int) -> None:
    assert milliseconds(seconds) == expected


@given(st.integers(1, 10**8), st.floats(0, 1), st.sampled_from((-1e-9, 0.0, 1e-9)))
def test_speech_and_silence_sum_to_the_duration_exactly(num_halves: int, share: float, float_error_s: float) -> None:
    duration_s = num_halves * 8 / 16_000  # whole and half milliseconds, where the least error tips the rounding
    speech_s = duration_s * share
    duration_ms, speech_ms, non_speech_ms = split_ms(duration_s, speech_s, duration_s - speech_s + float_error_s)
    assert duration_ms == speech_ms + non_speech_ms
    assert abs(speech_ms - speech_s * 1000) <= 0.5


@given(st.integers(1, 10**9), st.floats(0, 1), st.integers(2, 5_000))
def test_audio_that_was_lost_stays_lost_in_the_rows(num_samples: int, share: float, lost_ms: int) -> None:
    duration_s = num_samples / 16_000 + 10
    speech_s = duration_s * share * 0.4
    duration_ms, speech_ms, non_speech_ms = split_ms(duration_s, speech_s, duration_s - speech_s - lost_ms / 1000)
    assert abs(duration_ms - speech_ms - non_speech_ms - lost_ms) <= 1


def _saying(*answers: Emotion) -> Utterance:
    return Utterance(0.0, 1.0, 0, "S1", "yes", emotions=answers)
