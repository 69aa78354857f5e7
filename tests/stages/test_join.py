"""From heard windows to final utterances and turns."""

from __future__ import annotations

import pytest

from mmer_ray.diarizers.agglomerative import BETWEEN_WINDOWS_THRESHOLD
from mmer_ray.errors import Flag
from mmer_ray.records import ScoredRecording, Turn, Utterance, Window
from mmer_ray.stages.join import join
from tests.stages.makers import CALL, facts, utterance, window

ANNA, BERT = [1.0, 0.1, 0.0], [0.0, 0.1, 1.0]


def joined(*windows: Window, duration_s: float = 20.0) -> ScoredRecording:
    return join(CALL, facts(duration_s), list(windows), BETWEEN_WINDOWS_THRESHOLD)


def test_the_same_voice_in_two_windows_is_one_speaker() -> None:
    first = window(
        0, 10, turns=[Turn(0, 2, 0), Turn(3, 5, 1)], embeddings=[ANNA, BERT],
        utterances=[utterance(0, 2, "W0:0"), utterance(3, 5, "W0:1")],
    )  # fmt: skip
    second = window(
        10, 20, index=1, turns=[Turn(11, 12, 0), Turn(13, 14, 1)], embeddings=[BERT, ANNA],
        utterances=[utterance(11, 12, "W1:0"), utterance(13, 14, "W1:1")],
    )  # fmt: skip
    scored = joined(second, first)
    assert [one.speaker for one in scored.utterances] == ["S1", "S2", "S2", "S1"]
    assert scored.num_speakers == 2


def at_distance(distance: float) -> list[float]:
    """A unit vector at this cosine distance from [1, 0]."""
    return [1 - distance, (1 - (1 - distance) ** 2) ** 0.5]


@pytest.mark.parametrize(("distance", "num_speakers"), [(0.2, 1), (0.3, 2), (0.55, 2)])
def test_two_windows_share_a_speaker_up_to_a_quarter_of_cosine_distance(distance: float, num_speakers: int) -> None:
    first = window(0, 10, turns=[Turn(0, 2, 0)], embeddings=[[1.0, 0.0]])
    second = window(10, 20, index=1, turns=[Turn(11, 12, 0)], embeddings=[at_distance(distance)])
    assert joined(first, second).num_speakers == num_speakers


def test_two_speakers_of_one_window_never_become_one_however_alike() -> None:
    alike = [[1.0, 0.0], [1.0, 0.01]]
    turns = [Turn(0, 2, 0), Turn(3, 5, 1)]
    assert joined(window(0, 20, turns=turns, embeddings=alike)).num_speakers == 2


def test_where_parties_have_channels_of_their_own_the_channel_is_the_speaker() -> None:
    left = window(0, 20, one_speaker=True, turns=[Turn(5, 6, 0)], utterances=[utterance(5, 6, "W0:0")])
    right = window(
        0, 20, index=1, channel=1, one_speaker=True, turns=[Turn(1, 2, 0)],
        utterances=[utterance(1, 2, "W1:0", channel=1)],
    )  # fmt: skip
    assert [(one.speaker, one.channel) for one in joined(left, right).utterances] == [("S1", 1), ("S2", 0)]


def cut_in_two(first: Utterance, second: Utterance, after_is: list[float] = ANNA) -> tuple[Utterance, ...]:
    before = window(0, 10, turns=[Turn(5, 10, 0)], embeddings=[ANNA], utterances=[first])
    after = window(10, 20, index=1, turns=[Turn(10, 15, 0)], embeddings=[after_is], utterances=[second])
    return joined(before, after).utterances


def test_an_utterance_cut_by_a_border_becomes_one_again() -> None:
    (whole,) = cut_in_two(utterance(8, 9.9, "W0:0", "my parcel"), utterance(10.1, 11, "W1:0", "is late"))
    assert (whole.start_s, whole.end_s, whole.text) == (8, 11, "my parcel is late")
    assert [word.word for word in whole.words] == ["my", "parcel", "is", "late"]


def test_two_speakers_on_either_side_of_a_border_keep_their_own_utterances() -> None:
    said = cut_in_two(utterance(8, 9.9, "W0:0", "my parcel"), utterance(10.1, 11, "W1:0", "is late"), BERT)
    assert [(one.speaker, one.text) for one in said] == [("S1", "my parcel"), ("S2", "is late")]


def test_a_pause_at_the_border_keeps_two_utterances() -> None:
    assert len(cut_in_two(utterance(8, 9.5, "W0:0"), utterance(10.1, 11, "W1:0"))) == 2


def test_parts_that_would_be_longer_than_half_a_minute_stay_two() -> None:
    before = window(0, 30, turns=[Turn(2, 30, 0)], embeddings=[ANNA], utterances=[utterance(2, 30, "W0:0")])
    after = window(30, 40, index=1, turns=[Turn(30, 35, 0)], embeddings=[ANNA], utterances=[utterance(30, 35, "W1:0")])
    assert len(joined(before, after, duration_s=40.0).utterances) == 2


def test_the_overlap_of_each_utterance_and_of_the_recording_is_filled_in() -> None:
    left = window(0, 20, one_speaker=True, turns=[Turn(1, 5, 0)], utterances=[utterance(1, 5, "W0:0")])
    right = window(
        0, 20, index=1, channel=1, one_speaker=True, turns=[Turn(4, 8, 0)],
        utterances=[utterance(4, 8, "W1:0", channel=1)],
    )  # fmt: skip
    scored = joined(left, right)
    assert [one.overlap_s for one in scored.utterances] == [1.0, 1.0]
    assert scored.overlap_s == 1.0


def test_two_voices_at_once_on_one_channel_overlap_though_their_words_do_not() -> None:
    both = window(
        0, 20, turns=[Turn(1, 6, 0), Turn(4, 9, 1)], embeddings=[ANNA, BERT],
        utterances=[utterance(1, 5, "W0:0"), utterance(5.2, 9, "W0:1")],
    )  # fmt: skip
    scored = joined(both)
    assert scored.overlap_s == 2.0
    assert [one.overlap_s for one in scored.utterances] == pytest.approx([1.0, 0.8])
    assert scored.speech_s == 8.0, "the ledger counts each second once"


def test_turns_have_the_utterances_names_and_whole_milliseconds_and_touching_ones_are_one() -> None:
    first = window(
        0, 10, turns=[Turn(1.00049, 2, 0), Turn(5, 10, 1)], embeddings=[ANNA, BERT],
        utterances=[utterance(5, 9, "W0:1")],
    )  # fmt: skip
    second = window(10, 20, index=1, turns=[Turn(10, 12.3456, 0)], embeddings=[BERT])
    turns = joined(first, second).turns
    assert [(t.start_s, t.end_s, t.channel, t.speaker) for t in turns] == [(1.0, 2.0, 0, "S2"), (5.0, 12.346, 0, "S1")]


def test_speech_and_the_gaps_between_it_fill_the_recording() -> None:
    left = window(0, 20, one_speaker=True, turns=[Turn(1, 4, 0), Turn(9, 20, 0)])
    right = window(0, 20, index=1, channel=1, one_speaker=True, turns=[Turn(3, 6, 0)])
    scored = joined(left, right)
    assert (scored.speech_s, scored.non_speech_s) == (16.0, 4.0)


def test_a_lost_window_leaves_the_ledger_short() -> None:
    scored = joined(window(10, 20, index=1, turns=[Turn(11, 12, 0)], embeddings=[ANNA]))
    assert scored.speech_s + scored.non_speech_s == 10.0


@pytest.mark.parametrize("whole_channel", [0, 1])
def test_a_window_lost_on_either_channel_leaves_the_ledger_short(whole_channel: int) -> None:
    whole = [
        window(start_s, start_s + 10, index=index, channel=whole_channel, one_speaker=True)
        for index, start_s in enumerate((0, 10))
    ]
    half = window(0, 10, index=2, channel=1 - whole_channel, one_speaker=True)
    scored = joined(*whole, half)
    assert scored.speech_s + scored.non_speech_s == 10.0


def test_a_recording_without_speech_says_so() -> None:
    scored = joined(window(0, 20))
    assert scored.audio is not None
    assert scored.audio.flags == (Flag.NO_SPEECH,)
    assert (scored.utterances, scored.num_speakers, scored.non_speech_s) == ((), 0, 20.0)
    assert (scored.language, scored.language_p) == (None, None)


def test_speech_without_words_counts_as_speech_and_as_a_speaker() -> None:
    scored = joined(window(0, 20, turns=[Turn(1, 4, 0)], embeddings=[ANNA]))
    assert (scored.utterances, scored.num_speakers, scored.speech_s) == ((), 1, 3.0)
    assert scored.audio is not None
    assert scored.audio.flags == ()
    assert [turn.speaker for turn in scored.turns] == ["S1"]


def test_utterances_inside_a_window_are_one_dialogue_and_each_at_a_border_is_its_own() -> None:
    first = window(
        0, 10, turns=[Turn(1, 10, 0)], embeddings=[ANNA],
        utterances=[utterance(1, 2, "W0:0"), utterance(4, 5, "W0:0"), utterance(8, 9.8, "W0:0")],
    )  # fmt: skip
    second = window(
        10, 20, index=1, turns=[Turn(10, 19, 0)], embeddings=[ANNA],
        utterances=[utterance(10.1, 12, "W1:0"), utterance(14, 15, "W1:0"), utterance(18, 19.9, "W1:0")],
    )  # fmt: skip
    said = joined(first, second).utterances
    assert [(one.start_s, one.end_s, one.dialogue_idx) for one in said] == [
        (1, 2, 0),
        (4, 5, 0),
        (8, 12, 2),
        (14, 15, 1),
        (18, 19.9, 3),
    ]
