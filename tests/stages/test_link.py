"""From windows to final rows."""

from __future__ import annotations

import pytest

from mmer_ray.errors import Flag
from mmer_ray.profiles import LinkOptions
from mmer_ray.records import Emotion, Turn, Utterance
from mmer_ray.stages.link import Link
from tests.stages.makers import CALL, facts, utterance, window

ANNA, BERT = [1.0, 0.1, 0.0], [0.0, 0.1, 1.0]


def join(*windows: object, duration_s: float = 20.0, options: LinkOptions | None = None):  # type: ignore[no-untyped-def]
    return Link(options or LinkOptions()).join(CALL, facts(duration_s), list(windows))  # type: ignore[arg-type]


def test_the_same_voice_in_two_windows_is_one_speaker() -> None:
    first = window(
        0, 10, turns=[Turn(0, 2, 0), Turn(3, 5, 1)], embeddings=[ANNA, BERT],
        utterances=[utterance(0, 2, "W0:0"), utterance(3, 5, "W0:1")],
    )  # fmt: skip
    second = window(
        10, 20, index=1, turns=[Turn(11, 12, 0), Turn(13, 14, 1)], embeddings=[BERT, ANNA],
        utterances=[utterance(11, 12, "W1:0"), utterance(13, 14, "W1:1")],
    )  # fmt: skip
    scored = join(second, first)
    assert [one.speaker for one in scored.utterances] == ["S1", "S2", "S2", "S1"]
    assert scored.num_speakers == 2


def test_two_speakers_of_one_window_never_become_one_however_alike() -> None:
    alike = [[1.0, 0.0], [1.0, 0.01]]
    turns = [Turn(0, 2, 0), Turn(3, 5, 1)]
    assert join(window(0, 20, turns=turns, embeddings=alike)).num_speakers == 2


def test_on_a_call_with_parties_apart_the_channel_is_the_speaker_and_has_a_role() -> None:
    left = window(
        0, 20, apart=True, turns=[Turn(5, 6, 0)], utterances=[utterance(5, 6, "W0:0")]
    )  # fmt: skip
    right = window(
        0, 20, index=1, channel=1, apart=True, turns=[Turn(1, 2, 0)],
        utterances=[utterance(1, 2, "W1:0", channel=1)],
    )  # fmt: skip
    scored = join(left, right, options=LinkOptions(channel_roles=("agent", "customer")))
    assert [(one.speaker, one.channel, one.role) for one in scored.utterances] == [
        ("S1", 1, "customer"),
        ("S2", 0, "agent"),
    ]


def test_a_mixed_channel_has_no_role() -> None:
    mono = window(0, 20, turns=[Turn(0, 2, 0)], embeddings=[ANNA], utterances=[utterance(0, 2, "W0:0")])
    assert join(mono, options=LinkOptions(channel_roles=("agent",))).utterances[0].role is None


def cut_in_two(first: Utterance, second: Utterance) -> tuple[Utterance, ...]:
    before = window(0, 10, turns=[Turn(5, 10, 0)], embeddings=[ANNA], utterances=[first])
    after = window(10, 20, index=1, turns=[Turn(10, 15, 0)], embeddings=[ANNA], utterances=[second])
    return tuple(join(before, after).utterances)


def test_an_utterance_cut_by_a_border_becomes_one_again() -> None:
    (mended,) = cut_in_two(utterance(8, 9.9, "W0:0", "my parcel"), utterance(10.1, 11, "W1:0", "is late"))
    assert (mended.start_s, mended.end_s, mended.text) == (8, 11, "my parcel is late")
    assert [word.word for word in mended.words] == ["my", "parcel", "is", "late"]


def test_a_pause_at_the_border_keeps_two_utterances() -> None:
    assert len(cut_in_two(utterance(8, 9.5, "W0:0"), utterance(10.1, 11, "W1:0"))) == 2


def test_parts_that_would_be_longer_than_half_a_minute_stay_two() -> None:
    before = window(0, 30, turns=[Turn(2, 30, 0)], embeddings=[ANNA], utterances=[utterance(2, 30, "W0:0")])
    after = window(30, 40, index=1, turns=[Turn(30, 35, 0)], embeddings=[ANNA], utterances=[utterance(30, 35, "W1:0")])
    assert len(join(before, after, duration_s=40.0).utterances) == 2


def test_a_mended_utterance_averages_the_feelings_of_its_parts_by_seconds() -> None:
    from dataclasses import replace

    sad = Emotion("m", "sad", {"sad": 0.9, "happy": 0.1}, 0.9)
    happy = Emotion("m", "happy", {"sad": 0.2, "happy": 0.8}, 0.8)
    first = replace(utterance(7, 10, "W0:0"), emotions=(sad,))
    second = replace(utterance(10, 11, "W1:0"), emotions=(happy,))
    (mended,) = cut_in_two(first, second)
    assert mended.emotions[0].label == "sad"
    assert mended.emotions[0].probabilities == pytest.approx({"sad": 0.725, "happy": 0.275})


def test_speech_and_the_gaps_between_it_fill_the_recording() -> None:
    left = window(0, 20, apart=True, turns=[Turn(1, 4, 0), Turn(9, 20, 0)])
    right = window(0, 20, index=1, channel=1, apart=True, turns=[Turn(3, 6, 0)])
    scored = join(left, right)
    assert (scored.speech_s, scored.non_speech_s) == (16.0, 4.0)


def test_a_lost_window_leaves_the_ledger_short() -> None:
    lone = window(10, 20, index=1, turns=[Turn(11, 12, 0)], embeddings=[ANNA])
    scored = join(lone)
    assert scored.speech_s + scored.non_speech_s == 10.0


def test_a_window_lost_on_one_channel_leaves_the_ledger_short() -> None:
    left = [window(0, 10, apart=True), window(10, 20, index=1, apart=True)]
    right = window(0, 10, index=2, channel=1, apart=True)
    scored = join(*left, right)
    assert scored.speech_s + scored.non_speech_s == 10.0


def test_a_recording_without_speech_says_so() -> None:
    scored = join(window(0, 20))
    assert scored.audio is not None
    assert scored.audio.flags == (Flag.NO_SPEECH,)
    assert (scored.utterances, scored.num_speakers, scored.non_speech_s) == ((), 0, 20.0)


def test_speech_without_words_counts_as_speech_and_as_a_speaker() -> None:
    scored = join(window(0, 20, turns=[Turn(1, 4, 0)], embeddings=[ANNA]))
    assert (scored.utterances, scored.num_speakers, scored.speech_s) == ((), 1, 3.0)
    assert scored.audio is not None
    assert scored.audio.flags == ()
