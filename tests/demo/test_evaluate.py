"""The figures of the demo, each against a case worked out by hand."""

from __future__ import annotations

import pytest

from mmer_ray.demo.evaluate import (
    Call,
    diarization_error_rate,
    evaluate,
    label_during,
    recall_by_label,
    speaker_confusion,
    word_error_rate,
)
from mmer_ray.demo.grammar import Feeling
from mmer_ray.demo.truth import TrueCall, TrueTurn
from mmer_ray.records import Emotion, Utterance


def turn(
    start_s: float,
    end_s: float,
    speaker: str = "agent",
    *,
    channel: int = 0,
    text: str = "",
    label: Feeling = "neutral",
) -> TrueTurn:
    return TrueTurn(start_s, end_s, channel, speaker, text, label)


def said(
    start_s: float,
    end_s: float,
    speaker: str = "S1",
    *,
    channel: int = 0,
    text: str = "",
    label: str | None = "neutral",
) -> Utterance:
    emotions = (Emotion(scorer="test", label=label),)
    return Utterance(start_s, end_s, channel=channel, speaker=speaker, text=text, emotions=emotions)


def call(turns: list[TrueTurn], utterances: list[Utterance], *, one_speaker_per_channel: bool = False) -> Call:
    channels = 2 if one_speaker_per_channel else 1
    return Call(TrueCall("call.opus", channels, "clean", 60.0, tuple(turns)), tuple(utterances))


def test_word_errors_are_pooled_over_calls_of_different_length() -> None:
    long = call([turn(0, 1, text="one two three four five six")], [said(0, 1, text="One two three four five, six.")])
    short = call([turn(0, 1, text="yes please")], [said(0, 1, text="yes cheese now")])

    # One substitution and one insertion in eight words; the mean of the calls' own rates would be 0.5.
    assert word_error_rate([long, short]) == pytest.approx(2 / 8)


def test_words_on_two_channels_are_not_mixed_where_people_speak_at_once() -> None:
    turns = [turn(0, 4, channel=0, text="a b"), turn(1, 3, "customer", channel=1, text="c d")]
    utterances = [said(1, 3, "S2", channel=1, text="c d"), said(1.5, 4, "S1", channel=0, text="a b")]

    assert word_error_rate([call(turns, utterances, one_speaker_per_channel=True)]) == 0.0
    assert word_error_rate([call(turns, utterances, one_speaker_per_channel=False)]) == pytest.approx(1.0)


def test_a_failed_call_counts_as_all_words_deleted_and_all_turns_wrong() -> None:
    failed = call([turn(0, 2, text="a b c", label="angry")], [])

    found = evaluate([failed])

    assert found.wer == 1.0
    assert found.der == 1.0
    assert found.emotion_ua == 0.0
    assert found.num_reference_words == 3


def test_invented_words_where_nobody_spoke_are_errors() -> None:
    turns, utterances = [turn(0, 2, text="a b")], [said(0, 2, text="a b"), said(0, 1, "S2", channel=1, text="x")]

    assert word_error_rate([call(turns, utterances, one_speaker_per_channel=True)]) == pytest.approx(0.5)


def test_der_counts_a_confused_speaker_and_forgives_the_collar() -> None:
    turns = [turn(0, 10, "agent"), turn(10, 20, "customer")]

    exact = [said(0, 10.1, "S2"), said(10.1, 20, "S1")]
    confused = [said(0, 15, "S2"), said(15, 20, "S1")]

    assert diarization_error_rate([call(turns, exact)]) == pytest.approx(0.0)
    # 0.125 s on each side of the borders at 0, 10 and 20 are left out: 10 to 15 is 4.875 s of 19.5 s.
    assert diarization_error_rate([call(turns, confused)]) == pytest.approx(4.875 / 19.5)


def test_speech_before_and_after_the_reference_is_a_false_alarm() -> None:
    assert diarization_error_rate([call([turn(10, 20)], [said(0, 30)])]) == pytest.approx((9.875 * 2) / 9.75, rel=1e-6)


def test_names_are_free_but_a_channel_under_two_names_is_confusion() -> None:
    turns = [turn(0, 10, "agent", channel=0), turn(10, 20, "customer", channel=1)]
    renamed = [said(0, 10, "S2", channel=0), said(10, 20, "S1", channel=1)]
    split = [said(0, 8, "S1", channel=0), said(8, 10, "S3", channel=0), said(10, 20, "S2", channel=1)]
    merged = [said(0, 10, "S1", channel=0), said(10, 20, "S1", channel=1)]

    assert speaker_confusion([call(turns, renamed, one_speaker_per_channel=True)]) == pytest.approx(0.0)
    assert speaker_confusion([call(turns, split, one_speaker_per_channel=True)]) == pytest.approx(0.1)
    assert speaker_confusion([call(turns, merged, one_speaker_per_channel=True)]) == pytest.approx(0.5)


def test_a_turn_takes_the_label_with_most_overlap_on_its_own_channel() -> None:
    utterances = [
        said(0, 3, label="sad"),
        said(3, 5, label="angry"),
        said(5, 7, label="angry"),
        said(0, 10, "S2", channel=1, label="happy"),
    ]
    stereo = call([turn(0, 7)], utterances, one_speaker_per_channel=True)
    mono = call([turn(0, 7)], utterances)

    assert label_during(stereo, stereo.truth.turns[0]) == "angry"
    assert label_during(mono, mono.truth.turns[0]) == "happy"
    assert label_during(stereo, turn(7, 9)) is None


def test_a_skipped_emotion_is_no_label() -> None:
    one = call([turn(0, 2, label="sad")], [said(0, 2, label=None)])

    assert recall_by_label([one]) == {"sad": 0.0}


def test_unweighted_accuracy_gives_a_rare_class_the_weight_of_a_frequent_one() -> None:
    turns = [turn(at, at + 1, label="neutral") for at in range(9)] + [turn(9, 10, label="angry")]
    always_neutral = [said(at, at + 1, label="neutral") for at in range(10)]

    found = evaluate([call(turns, always_neutral)])

    assert found.recall_by_label == {"angry": 0.0, "neutral": 1.0}
    assert found.emotion_ua == pytest.approx(0.5)


def test_each_half_is_measured_on_its_own_calls() -> None:
    mono = call([turn(0, 10)], [said(0, 10)])

    assert evaluate([mono]).speaker_confusion is None
    assert evaluate([call([turn(0, 10)], [said(0, 10)], one_speaker_per_channel=True)]).der is None
    assert evaluate([]).wer is None
