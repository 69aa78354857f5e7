"""Lhotse's manifests, read as `RecordingSet.from_file` and `SupervisionSet.from_file` read them: JSON lines in gzip."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmer_ray.export.lhotse import LhotseFolder
from mmer_ray.records import Emotion, Word
from tests.export.makers import TALK, conversation, said, spoken

FELT = Emotion("mmer-12ab", "angry", {"angry": 0.75, "sad": 0.25}, 0.75, valence=-0.5)


def lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_a_recording_says_where_its_samples_are_and_how_many(tmp_path: Path) -> None:
    with LhotseFolder(tmp_path) as writer:
        writer.add(conversation(TALK))

    (recording,) = lines(tmp_path / "recordings.jsonl.gz")

    assert recording == {
        "id": "calls-id-a",
        "sources": [{"type": "file", "channels": [0, 1], "source": "/calls/a.wav"}],
        "sampling_rate": 8_000,
        "num_samples": 28_817_000,
        "duration": 3602.125,
        "channel_ids": [0, 1],
    }
    assert recording["num_samples"] / recording["sampling_rate"] == recording["duration"]


def test_a_supervision_has_words_with_times_and_the_emotion(tmp_path: Path) -> None:
    one = replace(spoken(1.1, ["so", "what"], 0.3), emotions=(FELT,), language="en", role="agent")
    with LhotseFolder(tmp_path) as writer:
        writer.add(conversation([one]))

    (supervision,) = lines(tmp_path / "supervisions.jsonl.gz")

    assert supervision == {
        "id": "calls-id-a-0",
        "recording_id": "calls-id-a",
        "start": 1.1,
        "duration": 0.6,
        "channel": 0,
        "text": "so what",
        "language": "en",
        "speaker": "calls-id-a-S1",
        "custom": {
            "corpus": "calls",
            "speaker_in_recording": "S1",
            "role": "agent",
            "emotion": {
                "scorer": "mmer-12ab",
                "label": "angry",
                "confidence": 0.75,
                "valence": -0.5,
                "probabilities": {"angry": 0.75, "sad": 0.25},
            },
        },
        "alignment": {"word": [["so", 1.1, 0.3, 0.9], ["what", 1.4, 0.3, 0.9]]},
    }


def test_every_word_has_times_also_where_the_lake_has_none(tmp_path: Path) -> None:
    one = replace(spoken(0, ["a", "b"], 1.0), words=(Word("a", 0.0, 1.0, 0.9), Word("b", None, None, 0.9)))
    with LhotseFolder(tmp_path) as writer:
        writer.add(conversation([one]))

    (supervision,) = lines(tmp_path / "supervisions.jsonl.gz")

    assert supervision["alignment"]["word"][1] == ["b", 1.0, 1.0, 0.9]


def test_many_conversations_have_ids_of_their_own(tmp_path: Path) -> None:
    with LhotseFolder(tmp_path) as writer:
        for name, corpus in (("a", "calls"), ("b", "calls"), ("a", "other")):
            writer.add(conversation([*TALK, said(5, 6, "", "S1")], name, corpus))

    recordings = [one["id"] for one in lines(tmp_path / "recordings.jsonl.gz")]
    supervisions = lines(tmp_path / "supervisions.jsonl.gz")

    assert len(set(recordings)) == 3
    assert len({one["id"] for one in supervisions}) == 9
    assert {one["recording_id"] for one in supervisions} == set(recordings)
    assert "alignment" not in supervisions[2]
