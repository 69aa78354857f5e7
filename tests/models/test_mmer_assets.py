"""The embedded emotion model as shipped, on the shipped calls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import mmer_ray
from mmer_ray.demo.grammar import FEELINGS
from mmer_ray.demo.truth import CALLS, TrueTurn, read_truth
from mmer_ray.models.families import load_emotion_model
from mmer_ray.models.interface import Clip, LoadedModel, collate
from mmer_ray.training.metrics import unweighted_accuracy

FOLDER = Path(mmer_ray.__file__).parent / "assets" / "mmer"
Turns = list[tuple[TrueTurn, np.ndarray]]


@pytest.fixture(scope="module")
def emotion() -> LoadedModel:
    return load_emotion_model(FOLDER)


@pytest.fixture(scope="module")
def turns() -> Turns:
    """Every turn of every second call, cut at its true times."""
    cut: Turns = []
    for call in read_truth()[::2]:
        sound = soundfile.read(CALLS / call.file, dtype="float32", always_2d=True)[0]
        cut += [(turn, sound[int(turn.start_s * 16e3) : int(turn.end_s * 16e3), turn.channel]) for turn in call.turns]
    return sorted(cut, key=lambda pair: len(pair[1]))


def accuracy(emotion: LoadedModel, turns: Turns, *, with_words: bool) -> float:
    guess: list[int] = []
    for first in range(0, len(turns), 8):
        clips = [Clip(samples, turn.text if with_words else "") for turn, samples in turns[first : first + 8]]
        with torch.inference_mode():
            guess += emotion.model(collate(clips, emotion.tokenizer)).logits.argmax(dim=1).tolist()
    truth = [emotion.model.labels.index(turn.feeling) for turn, _ in turns]
    return unweighted_accuracy(np.array(truth), np.array(guess))


def test_the_embedded_model_is_small_and_knows_the_four_feelings(emotion: LoadedModel) -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 8_000_000
    assert emotion.model.labels == FEELINGS


def test_voice_and_words_together_tell_feelings_of_unseen_people(emotion: LoadedModel, turns: Turns) -> None:
    assert accuracy(emotion, turns, with_words=True) > 0.85


def test_the_voice_alone_tells_most_feelings(emotion: LoadedModel, turns: Turns) -> None:
    assert accuracy(emotion, turns, with_words=False) > 0.65
