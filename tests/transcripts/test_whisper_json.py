"""The three layouts give the same words; anything else is refused by name."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from mmer_ray.errors import SourceError
from mmer_ray.records import GivenWord, SpeakerTurn
from mmer_ray.transcripts.whisper_json import Transcript, parse
from tests.transcripts.makers import faster_whisper, whisper, whisperx

WORDS = [("so", 0.5, 0.75), ("what", 1.0, 1.5), ("now", 2.0, 2.5)]


def read(document: Any) -> Transcript:
    return parse(json.dumps(document).encode(), "a.json")


@pytest.mark.parametrize(
    "document",
    [whisper(WORDS), whisperx(WORDS), faster_whisper(WORDS), {"segments": faster_whisper(WORDS)}],
    ids=["whisper", "whisperx", "faster-whisper", "faster-whisper in an object"],
)
def test_all_layouts_give_the_words_with_their_times(document: Any) -> None:
    found = [(word.word, word.start_s, word.end_s) for word in read(document).words()]

    assert found == WORDS


def test_a_words_probability_is_its_score_or_probability_and_its_segments_logprob() -> None:
    assert read(whisper(WORDS)).words()[0] == GivenWord("so", 0.5, 0.75, 0.75, -0.25)
    assert read(whisperx(WORDS)).words()[0] == GivenWord("so", 0.5, 0.75, 0.5, None)


@pytest.mark.parametrize(
    ("document", "language"),
    [
        (whisper(WORDS, "de"), ("de", None)),
        (faster_whisper(WORDS), (None, None)),
        ({"segments": [], "info": {"language": "fr", "language_probability": 0.5}}, ("fr", 0.5)),
        ({"segments": [], "language": "fr", "language_probability": 0.5}, ("fr", 0.5)),
    ],
)
def test_the_language_is_read_where_it_stands(document: Any, language: tuple[str | None, float | None]) -> None:
    assert read(document).language_and_p == language


def test_a_segment_without_words_spreads_its_text_over_its_times() -> None:
    (first, second) = read({"segments": [{"start": 1.0, "end": 3.0, "text": " so what"}]}).words()

    assert (first.word, first.start_s, first.end_s, second.start_s, second.end_s) == ("so", 1.0, 2.0, 2.0, 3.0)
    assert math.isnan(first.p)


def test_a_word_that_could_not_be_aligned_fills_the_gap_between_its_neighbours() -> None:
    words = [{"word": "in", "start": 1.0, "end": 2.0}, {"word": "2014"}, {"word": "then", "start": 4.0, "end": 5.0}]

    found = read({"segments": [{"start": 1.0, "end": 5.0, "text": "in 2014 then", "words": words}]}).words()

    assert [(word.word, word.start_s, word.end_s) for word in found][1] == ("2014", 2.0, 4.0)


def test_speakers_give_turns_and_nobody_none() -> None:
    assert read(whisperx(WORDS)).turns() is None
    assert read(whisperx(WORDS, ["A", "A", "B"])).turns() == (
        SpeakerTurn(0.5, 1.5, 0, "A"),
        SpeakerTurn(2.0, 2.5, 0, "B"),
    )


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ({"name": "package", "version": 1}, "segments"),
        ({"segments": [{"start": 0.0, "end": 1.0}]}, "text"),
        ({"segments": [{"start": "soon", "end": 1.0, "text": "a"}]}, "start"),
        ({"segments": [{"start": 2.0, "end": 1.0, "text": "a"}]}, "lasts from 2.0 to 1.0 s"),
        ([[0, 0.0, 1.0, "a"]], "0"),
        ("text", "the file"),
    ],
)
def test_another_json_is_refused_with_its_name_and_the_remedy(document: Any, what: str) -> None:
    with pytest.raises(SourceError, match=r"^a\.json is no transcript: .*; expected the JSON of WhisperX") as refused:
        read(document)
    assert what in str(refused.value)


def test_what_is_no_json_is_refused_too() -> None:
    with pytest.raises(SourceError, match=r"^a\.json is no transcript"):
        parse(b"1\n00:00:00,000 --> 00:00:01,000\nso what\n", "a.json")
