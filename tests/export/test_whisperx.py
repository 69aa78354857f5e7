"""WhisperX's JSON, read by WhisperX's own code."""

from __future__ import annotations

import io
import json
from dataclasses import replace

from whisperx.utils import WriteSRT

from mmer_ray.export.whisperx import to_whisperx
from mmer_ray.records import Utterance, Word
from tests.export.makers import said, spoken

OPTIONS = {"max_line_width": None, "max_line_count": None, "highlight_words": False}


def test_a_segment_has_the_keys_that_whisperx_writes() -> None:
    one = replace(spoken(1.0, ["so"]), language="en", asr_logprob=-0.25)

    document = json.loads(to_whisperx([one]))

    word = {"word": "so", "start": 1.0, "end": 1.5, "score": 0.9, "speaker": "S1"}
    segment = {"start": 1.0, "end": 1.5, "text": "so", "avg_logprob": -0.25, "words": [word], "speaker": "S1"}
    assert document == {"segments": [segment], "word_segments": [word], "language": "en"}


def test_a_word_without_times_has_none_of_their_keys() -> None:
    one = Utterance(0.0, 1.0, 0, "S2", "2014", (Word("2014", None, None, 0.5),))

    assert json.loads(to_whisperx([one]))["word_segments"] == [{"word": "2014", "speaker": "S2"}]


def test_the_language_is_that_of_most_seconds() -> None:
    talk = [replace(said(0, 1, "a"), language="en"), replace(said(1, 9, "b"), language="de"), said(9, 30, "c")]

    assert json.loads(to_whisperx(talk))["language"] == "de"
    assert json.loads(to_whisperx([]))["language"] is None


def test_whisperx_writes_subtitles_from_it() -> None:
    subtitles = io.StringIO()
    talk = [spoken(0.5, ["hello", "there"]), replace(spoken(3600.0, ["so"]), speaker="S2")]

    WriteSRT(".").write_result(json.loads(to_whisperx(talk)), subtitles, OPTIONS)

    assert subtitles.getvalue() == (
        "1\n00:00:00,500 --> 00:00:01,500\n[S1]: hello there\n\n2\n01:00:00,000 --> 01:00:00,500\n[S2]: so\n\n"
    )
