"""What a training is given of its utterances."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmer_ray.errors import UsageError
from mmer_ray.models.interface import Clip
from mmer_ray.training.kept_clips import KeptClips
from mmer_ray.training.material import Batches
from mmer_ray.training.recipe import Recipe
from mmer_ray.training.utterances import Sound, Utterance
from tests.training.tones import material_of, tones

RECIPE = Recipe(batch_size=4, sampling="natural")


def test_a_class_weighs_by_the_inverse_of_its_share_and_all_utterances_by_one_on_average(tmp_path: Path) -> None:
    material = material_of(tones(tmp_path, 8, share_of_low=0.25), labels=("sad", "happy", "angry"))
    (batch,) = Batches(material, replace(RECIPE, class_weights=True)).of_step(0)
    # Two of 8 are sad and six happy, in two classes: 8 / (2 x 2) and 8 / (2 x 6); nobody is angry.
    assert batch.targets.class_weights is not None
    torch.testing.assert_close(batch.targets.class_weights, torch.tensor([2.0, 2 / 3, 1.0]))
    (unweighted,) = Batches(material, RECIPE).of_step(0)
    assert unweighted.targets.class_weights is None


def test_raters_shares_are_those_of_the_models_classes_and_a_label_stands_in_where_there_are_none(
    tmp_path: Path,
) -> None:
    sad, happy, other, unrated = tones(tmp_path, 4)
    rated = [
        replace(sad, label="sad", shares={"sad": 0.75, "happy": 0.25}),
        replace(happy, label="happy", shares={"sad": 0.1, "happy": 0.3, "bored": 0.6}),
        replace(other, label="sad", shares={"bored": 1.0}),
        replace(unrated, label="happy"),
    ]
    batches, found = Batches(material_of(rated), replace(RECIPE, soft_labels=True)), {}
    # Each step draws anew, so that one alone has not all four.
    for step in range(6):
        (batch,) = batches.of_step(step)
        assert batch.targets.shares is not None
        found |= dict(zip(batch.utterance_ids, batch.targets.shares.tolist(), strict=True))
    expected = [[0.75, 0.25], [0.25, 0.75], [1.0, 0.0], [0.0, 1.0]]
    for one, shares in zip(rated, expected, strict=True):
        assert found[one.utterance_id] == pytest.approx(shares)


def test_a_training_on_nothing_is_refused_with_the_remedy() -> None:
    with pytest.raises(UsageError, match="the training set has no utterance: name a corpus with more speakers"):
        material_of([])


def test_two_threads_that_read_one_clip_use_up_its_room_once() -> None:
    both_read = threading.Barrier(2, timeout=30)

    def load(utterance: Utterance) -> Clip:
        num_reads.append(utterance.utterance_id)
        if utterance.utterance_id == "shared":
            both_read.wait()
        return Clip(np.zeros(100, np.float32), "")

    num_reads: list[str] = []
    clips = KeptClips(load, kept_bytes=800)
    shared, other = (Utterance(name, Sound(Path(f"{name}.wav")), "a", "sad", "") for name in ("shared", "other"))
    threads = [threading.Thread(target=clips, args=(shared,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(2):
        clips(other)
    assert num_reads == ["shared", "shared", "other"]
