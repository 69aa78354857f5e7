"""The marks of a player agree with the measures of the lake."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmer_ray.lake.conversation import Conversation
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.talk_marks import Interruption, talk_marks
from mmer_ray.records import SpeakerTurn, Utterance
from mmer_ray.stages.measures import measure
from tests.lake.removals import ERASED, canary_lake


def conversation(*spoken: tuple[float, float, str], turns: tuple[SpeakerTurn, ...] = ()) -> Conversation:
    utterances = tuple(
        Utterance(start_s, end_s, int(speaker[1:]) - 1, speaker, "words") for start_s, end_s, speaker in spoken
    )
    return Conversation({}, utterances, measure(utterances, 60.0, turns), None, turns)


def test_marks_are_where_the_measures_count() -> None:
    some = conversation((0, 5, "S1"), (4, 8, "S2"), (10, 20, "S1"), (12, 13, "S2"))
    marks = talk_marks(some)
    assert marks.interruptions == (Interruption(4, "S2"),)
    assert marks.overlaps == ((4, 5), (12, 13))
    assert some.measures is not None
    assert some.measures.interruptions == len(marks.interruptions)
    assert some.measures.overlap_s == pytest.approx(sum(end_s - start_s for start_s, end_s in marks.overlaps))


def test_turns_tell_of_people_on_one_channel() -> None:
    turns = (SpeakerTurn(0, 5, 0, "S1"), SpeakerTurn(4, 9, 0, "S2"))
    assert talk_marks(conversation((0, 4, "S1"), turns=turns)).overlaps == ((4, 5),)


def test_a_recording_of_a_lake_has_as_many_marks_as_its_row_of_calls_says(tmp_path: Path) -> None:
    lake = canary_lake(tmp_path)[0]
    with open_lake(lake.address) as reader:
        shown = reader.conversation(ERASED)
    marks = talk_marks(shown)
    assert shown.utterances
    assert all(start_s < end_s for start_s, end_s in marks.overlaps)
