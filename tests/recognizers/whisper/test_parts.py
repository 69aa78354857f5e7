"""When the stretches of a chunk are read one by one, and which of the two readings counts."""

from __future__ import annotations

import numpy as np
import pytest

from mmer_ray.recognizers.interface import Chunk, TimedWord, Transcript
from mmer_ray.recognizers.whisper.parts import FEW_WORDS, fuller, needs_parts, parts_of
from mmer_ray.records import SAMPLE_RATE_HZ, DroppedWords, Expected

LOOP = DroppedWords("repeated", 21, 3.0, 9.0)
GUESS = DroppedWords("low_log_probability", 3, 0.0, 9.0)


def chunk(*seconds: float) -> Chunk:
    """Stretches of these lengths, put together; every sample says in which one it is."""
    parts = [np.full(round(one * SAMPLE_RATE_HZ), number, np.int16) for number, one in enumerate(seconds, 1)]
    splices = np.cumsum([len(part) for part in parts[:-1]])
    return Chunk(np.concatenate(parts), expected=Expected(("de",)), splices=tuple(int(one) for one in splices))


def transcript(text: str, *dropped: DroppedWords, language: str = "en", logprob: float = -0.3) -> Transcript:
    """Words of half a second each."""
    words = [TimedWord(word, place / 2, place / 2 + 0.5, 0.9) for place, word in enumerate(text.split())]
    return Transcript(tuple(words), language, 0.8, logprob, None, dropped)


@pytest.mark.parametrize(
    ("heard", "read", "expected"),
    [
        pytest.param(chunk(5, 5), transcript("you so alone"), True, id="ten letters in ten seconds"),
        pytest.param(chunk(5, 5), transcript("word " * 20), False, id="as many as people say"),
        pytest.param(chunk(10), transcript("you so alone"), False, id="one stretch alone"),
        pytest.param(chunk(5, 5), transcript("word " * 20, LOOP), True, id="a loop of the decoder"),
        pytest.param(chunk(5, 5), transcript("", GUESS), True, id="a text that was guessed"),
        pytest.param(chunk(5, 5), transcript(""), False, id="nothing at all"),
        pytest.param(chunk(5, 5), transcript("", DroppedWords("no_speech", 2, 0, 1)), False, id="no speech"),
        pytest.param(chunk(5, 5), transcript("你 好 世 界", language="zh"), False, id="a language without spaces"),
    ],
)
def test_stretches_are_read_one_by_one_where_little_was_read(heard: Chunk, read: Transcript, expected: bool) -> None:
    assert needs_parts(heard, read) is expected


def test_each_stretch_has_its_own_samples_and_the_language_and_wishes_of_the_whole() -> None:
    parts = parts_of(chunk(2, 3, 1), transcript("you", language="de"))
    assert [(len(part.samples) / SAMPLE_RATE_HZ, set(part.samples.tolist())) for part in parts] == [
        (2.0, {1}),
        (3.0, {2}),
        (1.0, {3}),
    ]
    assert {(part.language, part.expected, part.splices, part.group) for part in parts} == {
        ("de", Expected(("de",)), (), None)
    }


def test_the_parts_count_where_they_have_clearly_more_each_at_its_place_with_its_probability() -> None:
    whole = transcript("you so alone", LOOP)
    late = DroppedWords("outside_sound", 2, 2.9, 3.4)
    parts = [transcript("nobody ever told me anything", logprob=-0.5), transcript("you so alone", late, logprob=-0.1)]
    found = fuller(chunk(2, 3), whole, parts)
    assert [word.word for word in found.words] == ["nobody", "ever", "told", "me", "anything", "you", "so", "alone"]
    # The fifth word lies past its stretch, which ends after two seconds.
    assert [(word.start_s, word.end_s) for word in found.words[3:6]] == [(1.5, 2.0), (2.0, 2.0), (2.0, 2.5)]
    assert [word.logprob for word in found.words] == [-0.5] * 5 + [-0.1] * 3
    assert found.dropped == (DroppedWords("outside_sound", 2, 4.9, 5.0),)
    assert (found.language, found.language_p, found.fallback_reason) == ("en", 0.8, FEW_WORDS)


def test_words_keep_a_probability_of_their_own() -> None:
    own = Transcript((TimedWord("nobody", 0.0, 0.5, 0.9, logprob=-0.2),), "en", None, -0.7)
    assert [word.logprob for word in fuller(chunk(2, 3), transcript("no"), [own, Transcript()]).words] == [-0.2]


def test_the_first_reading_stands_where_its_parts_have_hardly_more() -> None:
    whole = transcript("nobody told me")
    assert fuller(chunk(2, 3), whole, [transcript("nobody told"), transcript("me a")]) is whole
