"""What cannot have been said."""

from __future__ import annotations

import pytest

from mmer_ray.recognizers.interface import TimedWord
from mmer_ray.recognizers.whisper import plausibility
from mmer_ray.recognizers.whisper.network import Generated
from mmer_ray.recognizers.whisper.plausibility import plausible_words

SURE = Generated((), logprob=-0.2, no_speech_p=0.01)


def said(text: str, seconds_each: float = 0.3) -> list[TimedWord]:
    return [
        TimedWord(word, index * seconds_each, (index + 1) * seconds_each, 0.9)
        for index, word in enumerate(text.split())
    ]


def judged(words: list[TimedWord], generated: Generated = SURE, duration_s: float = 30.0) -> tuple[str, list[str]]:
    kept, dropped = plausible_words(words, generated, duration_s)
    assert len(kept) + sum(one.num_words for one in dropped) == len(words), "every word is kept or counted"
    return " ".join(word.word for word in kept), [one.reason for one in dropped]


def test_plain_speech_is_left_as_it_is() -> None:
    text = "no no no I said no and then I said yes yes of course I did"
    assert judged(said(text)) == (text, [])


@pytest.mark.parametrize(
    ("logprob", "no_speech_p", "reason"),
    [
        (-1.1, 0.7, plausibility.NO_SPEECH),
        (-0.6, 0.7, plausibility.NO_SPEECH),
        (-0.4, 0.7, None),
        (-1.1, 0.5, plausibility.NO_SPEECH),
        (-0.9, 0.5, None),
        (-1.4, 0.35, None),
        (-1.6, 0.2, plausibility.GUESSED),
    ],
)
def test_a_chunk_is_no_speech_by_both_probabilities_and_guessed_by_the_one(
    logprob: float, no_speech_p: float, reason: str | None
) -> None:
    found, reasons = judged(said("thank you"), Generated((), logprob, no_speech_p))
    assert (found, reasons) == (("thank you", []) if reason is None else ("", [reason]))


def test_of_a_loop_the_first_turn_stays() -> None:
    assert judged(said("we go " + "on and " * 6 + "home")) == ("we go on and home", [plausibility.REPEATED])
    assert judged(said("Yes. " * 12)) == ("Yes.", [plausibility.REPEATED])


def test_a_sentence_three_times_in_a_row_was_said_once_however_it_is_written() -> None:
    found, reasons = judged(said("Thank you all. thank you, all Thank you all! Goodbye."))
    assert (found, reasons) == ("Thank you all. Goodbye.", [plausibility.REPEATED])


def test_more_words_than_can_be_said_are_not_believed() -> None:
    words = said("this is far too long a sentence for half a second", 0.04)
    assert judged(words, duration_s=0.5) == ("", [plausibility.TOO_FAST])
    assert judged(words, duration_s=3.0)[1] == []


def test_words_for_which_there_was_no_sound_left_are_dropped() -> None:
    words = [*said("good bye", 0.5), *(TimedWord(word, 1.0, 1.0, 0.9) for word in ("see", "you", "soon"))]
    kept, dropped = plausible_words(words, SURE, 1.0)
    assert [word.word for word in kept] == ["good", "bye"]
    assert [(one.reason, one.num_words) for one in dropped] == [(plausibility.NO_ROOM, 3)]


def test_nothing_read_is_nothing_dropped() -> None:
    assert plausible_words([], Generated((), -3.0, 0.99), 30.0) == ([], [])
