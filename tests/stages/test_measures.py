"""How a conversation went."""

from __future__ import annotations

import pytest

from mmer_ray.records import SpeakerTurn
from mmer_ray.stages.measures import count_interruptions, measure
from mmer_ray.stages.talk import overlap_of_each, overlap_s, stretches
from tests.stages.makers import utterance


def test_talk_silence_and_overlap_add_up_to_the_duration() -> None:
    conversation = [utterance(0, 4, "S1"), utterance(3, 6, "S2"), utterance(8, 9, "S1"), utterance(8.5, 8.75, "S2")]
    measures = measure(conversation, 12.0)
    assert measures.talk_s == {"S1": 5.0, "S2": 3.25}
    assert measures.overlap_s == 1.25
    assert measures.silence_s == 5.0
    assert sum(measures.talk_s.values()) - measures.overlap_s + measures.silence_s == 12.0


def test_the_overlap_of_an_utterance_counts_only_other_speakers_and_each_second_once() -> None:
    conversation = [utterance(0, 10, "S1"), utterance(1, 5, "S2"), utterance(4, 6, "S3"), utterance(20, 21, "S1")]
    assert overlap_of_each(conversation, stretches(conversation)) == [5.0, 4.0, 2.0, 0.0]
    assert overlap_s(conversation) == 5.0


@pytest.mark.parametrize(
    ("second", "count"),
    [
        ((3.0, 6.0), 1),  # takes the floor
        ((3.0, 3.5), 0),  # a backchannel: the first speaker goes on
        ((3.95, 6.0), 0),  # the overlap is too short to hear
        ((0.3, 6.0), 0),  # both began together
        ((4.5, 6.0), 0),  # a gap, no overlap
    ],
)
def test_an_interruption_takes_the_floor_from_a_speaker_who_has_it(second: tuple[float, float], count: int) -> None:
    conversation = [utterance(0, 4, "S1"), utterance(*second, "S2")]
    assert count_interruptions(conversation) == count
    assert measure(conversation, 10.0).interruptions == count


def test_on_a_channel_where_voices_overlap_the_turns_tell_who_talks_at_the_same_time() -> None:
    conversation = [utterance(0, 3.9, "S1"), utterance(4.1, 6, "S2"), utterance(3, 5, "S3", channel=1)]
    turns = [SpeakerTurn(0, 4, 0, "S1"), SpeakerTurn(3.5, 6, 0, "S2"), SpeakerTurn(2.9, 5.1, 1, "S3")]
    assert overlap_of_each(conversation, stretches(conversation, turns)) == [
        pytest.approx(0.9),
        pytest.approx(0.9),
        pytest.approx(2.0),
    ]
    measures = measure(conversation, 10.0, turns)
    assert measures.overlap_s == pytest.approx(2.0)
    assert measures.interruptions == 2
    assert measures.talk_s["S1"] == 3.9, "talk is still that of the utterances"


def test_turns_that_do_not_overlap_change_no_measure() -> None:
    conversation = [utterance(0, 4, "S1"), utterance(3, 6, "S2", channel=1)]
    turns = [SpeakerTurn(-0.2, 4.3, 0, "S1"), SpeakerTurn(2.8, 6.3, 1, "S2")]
    assert measure(conversation, 10.0, turns) == measure(conversation, 10.0)


def test_going_on_speaking_is_no_interruption_of_oneself() -> None:
    assert count_interruptions([utterance(0, 4, "S1"), utterance(3, 6, "S1")]) == 0


def test_speaking_rate_counts_words_per_minute_of_talk() -> None:
    conversation = [utterance(0, 6, "S1", "one two three"), utterance(30, 36, "S1", "four five six")]
    assert measure(conversation, 60.0).words_per_minute == {"S1": 30.0}


def test_a_monologue_lasts_until_somebody_else_starts() -> None:
    conversation = [utterance(0, 4, "S1"), utterance(6, 9, "S1"), utterance(10, 11, "S2"), utterance(12, 14, "S1")]
    assert measure(conversation, 20.0).longest_monologue_s == 9.0


def test_valence_is_averaged_by_quarter_and_over_the_worst_half_minute() -> None:
    conversation = [
        utterance(1, 2, "S1", valence=0.5),
        utterance(20, 21, "S1", valence=0.1),
        utterance(95, 96, "S1", valence=-0.8),
        utterance(100, 101, "S2", valence=-0.4),
    ]
    measures = measure(conversation, 120.0)
    assert measures.valence_by_quarter == (pytest.approx(0.3), None, None, pytest.approx(-0.6))
    assert measures.worst_window_start_s == 95
    assert measures.worst_window_valence == pytest.approx(-0.6)


def test_an_empty_conversation_is_all_silence() -> None:
    measures = measure([], 30.0)
    assert (measures.silence_s, measures.num_utterances, measures.longest_monologue_s) == (30.0, 0, 0.0)
    assert measures.valence_by_quarter == ()
    assert measures.worst_window_valence is None
