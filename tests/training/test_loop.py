"""The training loop on tones: what must be learned, and what must hold while it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from mmer_ray.models import families
from mmer_ray.models.interface import Clip, EmotionBatch, EmotionModel, EmotionOutput, Targets
from mmer_ray.training import loop
from mmer_ray.training.augment import Variation
from mmer_ray.training.datasets import LabelledClip
from mmer_ray.training.embedded_text import train_tokenizer
from mmer_ray.training.loop import Recipe

LOW_HZ, HIGH_HZ = 300.0, 1_200.0
RECIPE = Recipe(num_epochs=2, batch_size=4, variation=Variation(crop_s=(0.1, 0.2), speed=0.05, gain_db=3.0))


class Ear(EmotionModel):
    """The cheapest member of the interface: how often the samples cross zero, through a batch norm."""

    family = "ear"
    labels = ("sad", "happy")

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(1)
        self.classifier = nn.Linear(1, 2)

    @property
    def min_samples(self) -> int:
        return 2

    def forward(self, batch: EmotionBatch) -> EmotionOutput:
        crossings_B = (batch.samples[:, 1:] * batch.samples[:, :-1] < 0).sum(dim=1) / batch.num_samples
        return EmotionOutput(self.classifier(self.norm(crossings_B[:, None])))


def cross_entropy(output: EmotionOutput, targets: Targets, augmented: EmotionOutput | None = None) -> Tensor:
    return nn.functional.cross_entropy(output.logits, targets.labels)


def tones(num_clips: int, seed: int, share_of_low: float = 0.5) -> list[LabelledClip]:
    """Low tones are sad, high ones happy."""
    rng = np.random.default_rng(seed)
    clips = []
    for index in range(num_clips):
        is_low = index < num_clips * share_of_low
        frequency_hz = (LOW_HZ if is_low else HIGH_HZ) * rng.uniform(0.9, 1.1)
        times_s = np.arange(rng.integers(3_200, 6_400)) / 16_000
        samples = np.sin(2 * np.pi * frequency_hz * times_s) + rng.normal(0, 0.05, len(times_s))
        clips.append(LabelledClip(Clip(samples.astype(np.float32), "a b"), "sad" if is_low else "happy", str(index)))
    return clips


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(["a b"], vocab_size=300)


def share_right(model: EmotionModel, clips: list[LabelledClip], tokenizer: PreTrainedTokenizerBase) -> float:
    guesses = loop.guess(model, clips, tokenizer, batch_size=5)
    return float(np.mean([model.labels[number] == clip.label for number, clip in zip(guesses, clips, strict=True)]))


def test_low_and_high_tones_are_told_apart_after_training(tokenizer: PreTrainedTokenizerBase) -> None:
    torch.manual_seed(0)
    recipe = replace(RECIPE, num_epochs=20, peak_rate=0.05, average_decay=0.9)
    trained = loop.train(Ear(), cross_entropy, tones(24, seed=1), tokenizer, recipe)
    assert not trained.training
    assert share_right(trained, tones(16, seed=2), tokenizer) == 1.0


@pytest.mark.parametrize("two_views", [False, True])
def test_a_family_is_trained_by_its_own_loss(tokenizer: PreTrainedTokenizerBase, two_views: bool) -> None:
    torch.manual_seed(0)
    model = families.build("mmer", "tiny")
    before = {name: model.get_parameter(name).clone() for name in ("classifier.weight", "contrast_augmented.0.weight")}
    recipe = replace(RECIPE, num_epochs=1, two_views=two_views)
    trained = loop.train(model, families.loss_of("mmer"), tones(8, seed=1), tokenizer, recipe)
    moved = [name for name, weight in before.items() if not torch.equal(trained.get_parameter(name), weight)]
    assert moved == (list(before) if two_views else ["classifier.weight"])
    assert all(torch.isfinite(parameter).all() for parameter in trained.parameters())


def test_early_epochs_do_without_a_modality_and_in_the_end_none_is_hidden(
    tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = families.build("bridge_tokens", "tiny")
    hidden = []
    monkeypatch.setattr(model, "mask", hidden.append)
    recipe = replace(RECIPE, num_epochs=6, modality_masking=True)
    loop.train(model, families.loss_of("bridge_tokens"), tones(4, seed=1), tokenizer, recipe)
    *of_epochs, afterwards = hidden
    assert len(of_epochs) == 6
    assert set(of_epochs[:3]) & {"audio", "text"}
    assert afterwards is None


def test_a_family_that_needs_both_modalities_is_not_trained_without_one(tokenizer: PreTrainedTokenizerBase) -> None:
    model = families.build("mmer", "tiny")
    recipe = replace(RECIPE, modality_masking=True)
    with pytest.raises(ValueError, match="mmer cannot do without"):
        loop.train(model, families.loss_of("mmer"), tones(4, seed=1), tokenizer, recipe)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tokenizer: PreTrainedTokenizerBase) -> None:
    weights = []
    for seed in (3, 3, 4):
        torch.manual_seed(0)
        trained = loop.train(Ear(), cross_entropy, tones(8, seed=1), tokenizer, replace(RECIPE, seed=seed))
        weights.append(trained.get_parameter("classifier.weight"))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_rare_classes_are_drawn_as_often_as_common_ones_and_every_clip_comes_before_any_comes_twice() -> None:
    classes = [0] * 9 + [1] * 3
    drawn = list(islice(loop.draw_balanced(classes, np.random.default_rng(0)), 18))
    assert Counter(classes[index] for index in drawn) == {0: 9, 1: 9}
    assert Counter(drawn) == {**dict.fromkeys(range(9), 1), **dict.fromkeys(range(9, 12), 3)}


def test_batches_hold_clips_of_about_one_length_with_their_own_labels(tokenizer: PreTrainedTokenizerBase) -> None:
    clips = tones(40, seed=1, share_of_low=0.3)
    recipe = replace(RECIPE, batch_size=4, variation=Variation())
    num_samples, spreads = [], []
    for (batch,), targets in islice(loop.draw_batches(clips, Ear.labels, tokenizer, recipe), 12):
        num_samples += batch.num_samples.tolist()
        spreads.append(int(batch.num_samples.max() - batch.num_samples.min()))
        crossings_B = (batch.samples[:, 1:] * batch.samples[:, :-1] < 0).sum(dim=1) / batch.num_samples
        assert torch.equal((crossings_B > 0.09).long(), targets.labels)
    assert np.mean(spreads) < 0.5 * (max(num_samples) - min(num_samples))


def test_two_views_are_two_variations_of_the_same_clips(tokenizer: PreTrainedTokenizerBase) -> None:
    drawn = loop.draw_batches(tones(8, seed=1), Ear.labels, tokenizer, replace(RECIPE, two_views=True))
    (first, second), targets = next(drawn)
    assert len(targets.labels) == len(first.num_samples) == len(second.num_samples) == RECIPE.batch_size
    assert first.samples.shape != second.samples.shape or not torch.equal(first.samples, second.samples)


def test_the_average_starts_with_the_weights_follows_slower_and_slower_and_copies_counters() -> None:
    model = Ear()
    average = loop.running_average(model, decay=0.15)
    batch = EmotionBatch(torch.randn(4, 50), torch.full((4,), 50), torch.ones(4, 1) > 0, torch.zeros(4, 1).long())
    means = []
    for value in (1.0, 2.0, 3.0):
        torch.nn.init.constant_(model.classifier.bias, value)
        model(batch)
        average.update_parameters(model)
        means.append(model.norm.running_mean.clone())
    # Shares kept: 0 of 9, 1 of 10, then 2 of 11, which is more than the decay.
    after_two = 0.1 * 1.0 + 0.9 * 2.0
    assert torch.allclose(average.module.classifier.bias, torch.full((2,), 0.15 * after_two + 0.85 * 3.0))
    expected = 0.15 * (0.1 * means[0] + 0.9 * means[1]) + 0.85 * means[2]
    assert torch.allclose(average.module.norm.running_mean, expected)
    assert average.module.norm.num_batches_tracked == model.norm.num_batches_tracked == 3


def test_an_unknown_label_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    clips = [replace(clip, label="bored") for clip in tones(4, seed=1)]
    with pytest.raises(ValueError, match="bored"):
        loop.train(Ear(), cross_entropy, clips, tokenizer, RECIPE)
