"""The document with everything in it."""

from __future__ import annotations

import json

from mmer_ray.export.conversation_json import to_json
from mmer_ray.records import Emotion, Utterance, Word


def test_an_empty_recording_is_a_json_document_all_the_same() -> None:
    assert json.loads(to_json("a.wav", [])) == {"schema": "mmer.conversation/1", "uri": "a.wav", "utterances": []}


def test_json_keeps_words_emotions_and_quotes() -> None:
    one = Utterance(
        0, 1, 1, "S2", 'a "b"', (Word("a", None, None, 0.5),), emotions=(Emotion("m", "sad", {"sad": 1.0}),)
    )

    (row,) = json.loads(to_json("a.wav", [one]))["utterances"]

    assert row["text"] == 'a "b"'
    assert row["words"] == [{"word": "a", "start_s": None, "end_s": None, "p": 0.5}]
    assert row["emotions"][0]["probabilities"] == {"sad": 1.0}
