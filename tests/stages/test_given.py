"""Given words and turns take a stage's place, window by window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from mmer_ray.diarizers.interface import Diarization
from mmer_ray.recognizers.interface import Chunk, TimedWord, Transcript
from mmer_ray.records import Given, GivenWord, Recording, SpeakerTurn, Turn, Window
from mmer_ray.stages.diarize import diarize
from mmer_ray.stages.given import cut_given, given_words
from mmer_ray.stages.transcribe import transcribe

WORDS = tuple(GivenWord(text, at, at + 0.5, 0.9) for at, text in ((1.0, "one"), (9.8, "border"), (12.0, "two")))
TURNS = (SpeakerTurn(0.5, 11.0, 0, "B"), SpeakerTurn(11.5, 13.0, 0, "A"), SpeakerTurn(14.0, 15.0, 0, "B"))


def window(index: int, start_s: float, end_s: float, given: Given | None = None) -> Window:
    samples = np.zeros(round((end_s - start_s) * 16_000), dtype=np.int16)
    one = Window(Recording("a.wav"), index, 0, start_s, end_s, samples)
    return one if given is None else cut_given(one, given)


class Asked:
    """A diarizer and a recognizer that remember how much they are asked."""

    join_threshold = 0.5
    max_chunk_s = 30.0
    packs_chunks = False
    margin_s = 0.0

    def __init__(self) -> None:
        self.num_windows = self.num_chunks = 0

    def diarize(self, windows: Sequence[Window]) -> list[Diarization]:
        self.num_windows += len(windows)
        return [Diarization((Turn(one.start_s, one.end_s, 0),), (np.ones(1, np.float32),)) for one in windows]

    def transcribe(self, chunks: Sequence[Chunk]) -> list[Transcript]:
        self.num_chunks += len(chunks)
        return [Transcript((TimedWord("heard", 0.0, 0.5, 0.9),)) for _ in chunks]


def heard(windows: Sequence[Window], members: Asked) -> list[Window]:
    return transcribe(diarize(windows, members), members)


def test_with_words_and_turns_no_model_is_asked() -> None:
    members = Asked()
    given = Given(WORDS, TURNS, "en", 0.75)

    first, second = heard([window(0, 0, 10, given), window(1, 10, 20, given)], members)

    assert (members.num_windows, members.num_chunks) == (0, 0)
    assert [one.text for one in first.utterances] == ["one"]
    assert [one.text for one in second.utterances] == ["border", "two"]
    assert {(one.language, one.language_p) for one in second.utterances} == {("en", 0.75)}


def test_with_words_alone_turns_are_found_and_with_turns_alone_words() -> None:
    members = Asked()

    (spoken,) = heard([window(0, 0, 10, Given(words=WORDS))], members)
    assert (members.num_windows, members.num_chunks, spoken.utterances[0].text) == (1, 0, "one")

    (turned,) = heard([window(0, 0, 10, Given(turns=TURNS))], members)
    assert (members.num_windows, members.num_chunks) == (1, 1)
    assert turned.turns == (Turn(0.5, 10, 0),)


def test_a_window_without_anything_given_is_heard_as_ever_among_those_with() -> None:
    members = Asked()

    windows = heard([window(0, 0, 10, Given(WORDS, TURNS)), window(0, 0, 10)], members)

    assert [one.utterances[0].text for one in windows] == ["one", "heard"]
    assert (members.num_windows, members.num_chunks) == (1, 1)


def test_every_word_is_in_exactly_one_window_by_its_middle() -> None:
    parts = [window(0, 0, 10, Given(WORDS)), window(1, 10, 20, Given(WORDS))]

    texts = [[word.word for word in one.given.words or ()] for one in parts if one.given]

    assert texts == [["one"], ["border", "two"]]


def test_turns_are_cut_at_the_window_and_a_speaker_has_one_axis_in_all_windows() -> None:
    given = Given(turns=TURNS)

    first, second = diarize([window(0, 0, 10, given), window(1, 10, 20, given)], Asked())

    assert first.turns == (Turn(0.5, 10, 0),)
    assert second.turns == (Turn(10, 11.0, 0), Turn(11.5, 13.0, 1), Turn(14.0, 15.0, 0))
    (alone,), (same, other) = first.embeddings, second.embeddings
    assert (float(alone @ same), float(alone @ other)) == (1.0, 0.0)


def test_words_where_nobody_speaks_are_left_out() -> None:
    silent = window(0, 0, 10, Given(WORDS))

    assert given_words(silent) == []
    assert given_words(replace(silent, turns=(Turn(0, 1, 0),))) is not None
    assert given_words(window(0, 0, 10)) is None


@pytest.mark.parametrize("turn", [SpeakerTurn(2.0, 2.0, 0, "A"), SpeakerTurn(30.0, 31.0, 0, "A")])
def test_a_turn_without_length_or_outside_the_window_is_none(turn: SpeakerTurn) -> None:
    (one,) = diarize([window(0, 0, 10, Given(turns=(turn,)))], Asked())

    assert (one.turns, one.embeddings) == ((), ())
