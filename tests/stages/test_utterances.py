"""From words to utterances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mmer_ray.records import SAMPLE_RATE_HZ, Turn
from mmer_ray.stages.utterances import HeardWord, noise_power, speaker_of, split_long, to_utterances, voted_language
from tests.stages.makers import window

TURNS = (Turn(10, 14, 0), Turn(14, 18, 1), Turn(25, 30, 0))


def words(*times: tuple[float, float]) -> list[HeardWord]:
    return [HeardWord(f"w{i}", start_s, end_s, 0.9, -0.1) for i, (start_s, end_s) in enumerate(times)]


def test_a_change_of_speaker_ends_an_utterance() -> None:
    said = to_utterances(window(10, 40, index=3, turns=TURNS), words((12, 13), (13.2, 14.1), (14.2, 15)))
    assert [(one.speaker, one.text) for one in said] == [("W3:0", "w0 w1"), ("W3:1", "w2")]
    assert [(one.start_s, one.end_s) for one in said] == [(12, 14.1), (14.2, 15)]


def test_a_long_pause_ends_an_utterance_and_a_short_one_does_not() -> None:
    turns = (Turn(0, 20, 0),)
    said = to_utterances(window(0, 20, turns=turns), words((1, 2), (2.7, 3), (3.9, 5)))
    assert [one.text for one in said] == ["w0 w1", "w2"]


def test_a_word_belongs_to_the_turn_that_covers_most_of_it_or_the_nearest() -> None:
    for (start_s, end_s), speaker in {(13.5, 14.2): 0, (13.8, 14.6): 1, (19, 20): 1, (23, 24): 0}.items():
        assert speaker_of(words((start_s, end_s))[0], TURNS) == speaker


def test_where_two_talk_at_once_a_word_belongs_to_the_one_who_is_heard_best() -> None:
    overlapping = window(0, 10, turns=(Turn(0, 8, 0), Turn(4, 6, 1)))
    best = (Turn(0, 4.5, 0), Turn(4.5, 6, 1), Turn(6, 8, 0))
    said = to_utterances(replace(overlapping, exclusive_turns=best), words((4, 4.4), (4.6, 5.4), (6.2, 7)))
    assert [one.speaker for one in said] == ["W0:0", "W0:1", "W0:0"]


def test_speech_without_a_pause_is_split_where_it_pauses_most() -> None:
    spoken = words(*((i, i + (0.7 if i == 21 else 0.9)) for i in range(40)))
    parts = split_long(spoken, 30.0)
    assert [len(part) for part in parts] == [22, 18]
    assert max(part[-1].end_s - part[0].start_s for part in split_long(words((0, 9), (9, 18), (18, 27)), 10)) <= 10


def test_utterance_times_stay_inside_the_window() -> None:
    (said,) = to_utterances(window(10, 20, turns=(Turn(10, 20, 0),)), words((9.98, 12), (12, 20.02)))
    assert (said.start_s, said.end_s) == (10, 20)


def test_the_signal_is_compared_with_the_sound_outside_all_turns() -> None:
    samples = np.random.default_rng(0).normal(0, 30, 20 * SAMPLE_RATE_HZ)
    samples[5 * SAMPLE_RATE_HZ : 10 * SAMPLE_RATE_HZ] *= 100
    spoken = replace(window(0, 20, turns=(Turn(5, 10, 0),)), samples=samples.astype(np.int16))
    (said,) = to_utterances(spoken, words((5.5, 9.5)))
    assert said.snr_db == pytest.approx(40, abs=0.5)


def test_there_is_no_signal_to_noise_ratio_without_non_speech_and_a_finite_one_beside_digital_silence() -> None:
    loud = np.full(20 * SAMPLE_RATE_HZ, 1_000, dtype=np.int16)
    full = replace(window(0, 20, turns=(Turn(0, 20, 0),)), samples=loud)
    assert noise_power(full) is None
    assert to_utterances(full, words((1, 2)))[0].snr_db is None
    loud[: 5 * SAMPLE_RATE_HZ] = 0
    silent = replace(window(0, 20, turns=(Turn(5, 20, 0),)), samples=loud)
    assert to_utterances(silent, words((6, 7)))[0].snr_db == pytest.approx(70.8, abs=0.1)


def test_the_transcripts_probability_is_averaged_over_frames_not_words() -> None:
    spoken = [HeardWord("long", 0, 3, 0.9, -0.2), HeardWord("short", 3, 4, 0.5, -1.0)]
    (said,) = to_utterances(window(0, 20, turns=(Turn(0, 5, 0),)), spoken)
    assert said.asr_logprob == pytest.approx(-0.4)


def test_no_words_make_no_utterance() -> None:
    assert to_utterances(window(0, 20, turns=TURNS), []) == ()


def test_times_are_whole_milliseconds_and_exact_words_stay_where_they_are() -> None:
    said = to_utterances(window(10, 20, turns=(Turn(10, 20, 0),)), words((11.00049, 11.2), (11.25, 11.75051)))
    assert [(word.start_s, word.end_s) for word in said[0].words] == [(11.0, 11.2), (11.25, 11.751)]
    assert (said[0].start_s, said[0].end_s) == (11.0, 11.751)


def test_a_word_at_the_very_end_of_a_recording_keeps_a_millisecond_inside_it() -> None:
    end_s = 20 + 7 / SAMPLE_RATE_HZ
    (said,) = to_utterances(window(10, end_s, turns=(Turn(10, 20, 0),)), words((20.0002, 20.02)))
    assert (said.start_s, said.end_s) == (19.999, 20.0)


def test_what_the_transcript_says_reaches_the_utterance() -> None:
    spoken = [
        HeardWord("bonjour", 0, 3, 0.9, None, "fr", 0.5),
        HeardWord("monsieur", 3, 4, 0.9, None, "fr", 0.9, "low probability"),
        HeardWord("yes", 4, 5, 0.9, None, "en", 0.8),
    ]
    (said,) = to_utterances(window(0, 20, one_speaker=True, turns=(Turn(0, 5, 0),)), spoken)
    assert (said.language, said.language_p) == ("fr", pytest.approx(0.6))
    assert (said.fallback_reason, said.asr_logprob, said.speaker_is_channel) == ("low probability", None, True)


def test_the_language_with_the_most_seconds_wins_and_without_a_probability_there_is_none() -> None:
    assert voted_language([("en", 0.9, 5.0), ("fr", 0.7, 3.0), (None, None, 90.0)]) == ("en", 0.9)
    assert voted_language([("en", None, 5.0), ("fr", 0.7, 3.0)]) == ("en", None)
    assert voted_language([("en", None, 5.0), ("en", 0.5, 1.0), ("en", 0.8, 2.0)]) == ("en", pytest.approx(0.7))
    assert voted_language([(None, None, 3.0)]) == (None, None)
