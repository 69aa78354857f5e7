"""The demo corpus as labelled speech."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmer_ray.demo.labelled import write_labels
from mmer_ray.demo.truth import read_truth
from mmer_ray.records import SAMPLE_RATE_HZ
from mmer_ray.training.clips import load_clip
from mmer_ray.training.corpora.reading import read_corpus


def test_every_turn_is_an_utterance_with_its_speaker_words_and_sound(tmp_path: Path) -> None:
    calls = read_truth()
    write_labels(tmp_path / "demo.csv", calls)
    corpus = read_corpus(tmp_path / "demo.csv")
    turns = [turn for call in calls for turn in call.turns]
    assert [(one.speaker, one.label, one.text) for one in corpus.utterances] == [
        (turn.speaker, turn.feeling, turn.text) for turn in turns
    ]
    assert set(corpus.labels) == {"angry", "happy", "neutral", "sad"}
    clip = load_clip(corpus.utterances[5])
    assert len(clip.samples) / SAMPLE_RATE_HZ == pytest.approx(turns[5].end_s - turns[5].start_s, abs=0.01)
