"""Scored recordings as columns: what is kept, what is cleaned, what is left to the writer."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmer_ray.errors import MAX_MESSAGE_CHARS, ErrorCode, Flag
from mmer_ray.lake.answer_tables import ANSWER_SCHEMAS
from mmer_ray.lake.answers import Answers
from mmer_ray.lake.card import recording_id, uri_id
from mmer_ray.lake.columns import MAX_MS, milliseconds, ms_column, split_ms
from mmer_ray.lake.conversation import measures_of, turns_of, utterances_of
from mmer_ray.records import (
    AudioFacts,
    Emotion,
    Failure,
    KeptPieces,
    Recording,
    ScoredRecording,
    Utterance,
    WindowPieces,
    Word,
)
from mmer_ray.tables import CLASSES
from tests.lake.makers import KEYS, content_digest, failed, scored, taken

KEY = b"mmer_ray"
CALL = Recording("/calls/a.wav", corpus="calls", size_bytes=9, modified="1", day="2026-11-20")

times_s = st.integers(0, 10_000_000).map(lambda ms: ms / 1000)
scores = st.integers(-1000, 1000).map(lambda thousandths: thousandths / 1000)
chances = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
words = st.builds(Word, texts, st.none() | times_s, st.none() | times_s, chances)
emotions = st.builds(
    Emotion,
    scorer=st.just(KEYS.scorer),
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
    speaker_is_channel=st.booleans(),
    dialogue_idx=st.integers(0, 3),
    fallback_reason=st.none() | st.just("repetition"),
    emotions=st.lists(emotions, max_size=1).map(tuple),
)


def answer(*spoken: Utterance, recording: Recording = CALL) -> ScoredRecording:
    facts = AudioFacts("0" * 32, 60.0, 1, 16_000, "flac", "flac", (Flag.MISLABELLED, Flag.CLIPPED))
    return ScoredRecording(recording, "scored", audio=facts, utterances=spoken, speech_s=20.0, non_speech_s=40.0)


def rows(answers: Answers, name: str) -> list[dict[str, Any]]:
    return answers.tables[name].to_pylist(maps_as_pydicts="strict")


@given(st.lists(utterances, max_size=4).map(tuple))
def test_answers_give_back_what_was_said_when_and_how(spoken: tuple[Utterance, ...]) -> None:
    answers = taken(answer(*spoken))
    assert answers.tables == Answers.of([answer(*spoken)], KEYS).tables
    # Role and name are not stored: the lake's view adds them.
    said = [row | {"role": None, "speaker_name": None} for row in rows(answers, "utterances")]
    found = utterances_of(said, rows(answers, "words"), rows(answers, "emotions"))
    assert found == spoken


def test_every_column_has_a_value_and_comes_back_from_its_bytes() -> None:
    kept = WindowPieces(3, 1, 16_000, 32_000, False, KeptPieces(1, b"\x00<", b"bytes"))
    answers = taken(replace(scored(CALL, "1" * 32), pieces=(kept,)), failed(CALL))
    assert {name: table.schema for name, table in answers.tables.items()} == ANSWER_SCHEMAS
    assert all(table.num_rows for table in answers.tables.values())
    (measured,) = rows(answers, "calls")
    assert measures_of(measured).words_per_minute == {"S1": 140.25}
    assert measures_of({**measured, "words_per_minute": None}).words_per_minute == {}
    assert turns_of([row | {"speaker_name": None} for row in rows(answers, "turns")])[0].speaker == "S1"
    (pieces,) = rows(answers, "pieces")
    assert (pieces["window_idx"], pieces["start_sample"], pieces["embeddings"]) == (3, 16_000, b"\x00<")


def test_answers_that_are_put_together_keep_their_rows() -> None:
    many = [taken(scored(CALL, f"{number:032x}")) for number in range(3)]
    both = Answers.concat([many[0], Answers.concat(many[1:])])
    assert both.num_recordings == 3
    for at, one in enumerate(many):
        alone = both.only(np.arange(3) == at)
        assert alone.tables == one.tables, at
    assert both.num_bytes > many[0].num_bytes


def test_scores_are_rounded_to_a_thousandth_and_zero_has_no_sign() -> None:
    emotion = Emotion("m", "sad", {"sad": 0.98765, "frustrated": 0.01, "excited": 0.0023}, 0.98765, valence=-0.0001)
    (row,) = rows(taken(answer(_saying(emotion))), "emotions")
    assert (row["p_sad"], row["confidence"]) == pytest.approx((0.988, 0.988))
    assert row["p_other"] == pytest.approx(0.012)  # both classes without a column
    assert row["p_angry"] is None
    assert math.copysign(1, row["valence"]) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_becomes_null(value: float) -> None:
    emotion = Emotion("m", "sad", {"sad": value, "bored": value}, confidence=value, valence=value)
    (row,) = rows(taken(answer(replace(_saying(emotion), language_p=value, snr_db=value))), "emotions")
    assert {row[name] for name in ("p_sad", "p_other", "confidence", "valence")} == {None}


def test_a_language_that_nobody_knows_has_no_probability() -> None:
    (row,) = rows(taken(replace(answer(_saying()), language=None, language_p=0.0)), "results")
    assert (row["language"], row["language_p"]) == (None, None)


def test_what_was_heard_before_the_restart_is_not_written_again() -> None:
    whole = replace(scored(CALL, "1" * 32), pieces=(WindowPieces(0, 0, 0, 9, False, KeptPieces()),))
    filled = {
        restart: {name for name, table in taken(replace(whole, restart=restart)).tables.items() if table.num_rows}
        for restart in ("decode", "emotion", "link")
    }
    assert filled["decode"] == set(ANSWER_SCHEMAS)
    assert filled["emotion"] == {"recordings", "emotions", "calls"}
    assert filled["link"] == {"recordings", "calls"}


def test_audio_without_an_utterance_has_its_call_all_the_same() -> None:
    answers = taken(answer())
    assert [row["scorer"] for row in rows(answers, "calls")] == [KEYS.scorer]
    assert rows(answers, "results")[0]["num_utterances"] == 0


def test_flags_of_the_name_lie_with_the_file_and_flags_of_the_bytes_with_the_audio() -> None:
    answers = taken(answer())
    assert rows(answers, "recordings")[0]["flags"] == ["mislabelled"]
    assert rows(answers, "results")[0]["flags"] == ["clipped"]


def test_a_failed_recording_has_one_row_and_no_digest_of_bytes_that_nobody_read() -> None:
    failure = Failure(ErrorCode.IO_ERROR, "decode", "x" * 400)
    answers = taken(ScoredRecording(CALL, "failed", failure=failure, utterances=(_saying(),)))
    (row,) = rows(answers, "recordings")
    assert row["recording_id"] is None
    assert (row["status"], row["error_code"], len(row["error_message"])) == ("failed", "io_error", MAX_MESSAGE_CHARS)
    assert (row["duration_ms"], row["heard_key"]) == (None, None)
    assert {name for name, table in answers.tables.items() if table.num_rows} == {"recordings"}
    (told,) = answers.summary.to_pylist()
    assert (told["uri"], told["status"], told["error_code"]) == (CALL.uri, "failed", "io_error")


def test_the_lakes_names_of_audio_say_nothing_without_its_key() -> None:
    digest = content_digest(b"some audio")
    assert recording_id(digest, KEY) != recording_id(digest, b"another key") != digest
    assert uri_id(CALL.uri, KEY) != uri_id(CALL.uri, b"another key")
    assert uri_id(digest, KEY) != recording_id(digest, KEY)  # a file that is called like a digest
    assert len(recording_id(digest, KEY)) == len(uri_id(CALL.uri, KEY)) == 32


def test_text_that_is_none_is_shipped_and_written_all_the_same() -> None:
    """Half a surrogate pair, as in manifests and in names that are not UTF-8."""
    odd = replace(CALL, uri="/calls/\udcff.wav", metadata={"\udcfe": "\udcfd", "note": "\ud83d"})
    failure = Failure(ErrorCode.IO_ERROR, "decode", "cannot read \udcff.wav")
    (row,) = rows(taken(ScoredRecording(odd, "failed", failure=failure)), "recordings")
    assert row["uri"] == "/calls/?.wav"
    assert row["metadata"] == {"?": "?", "note": "?"}
    assert row["error_message"] == "cannot read ?.wav"
    spoken = replace(_saying(), text="half \ud83d", words=(Word("\ud83d", 0.0, 1.0, 0.5),))
    answers = taken(answer(spoken))
    assert [rows(answers, name)[0][column] for name, column in (("utterances", "text"), ("words", "word"))] == [
        "half ?",
        "?",
    ]


def test_times_that_are_no_number_are_unknown() -> None:
    assert ms_column([math.nan, None, math.inf, 1.0]).to_pylist() == [None, None, None, 1000]
    assert ms_column([math.nan, 1e12], default=0).to_pylist() == [0, MAX_MS]


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
