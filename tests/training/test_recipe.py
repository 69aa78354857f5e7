"""Recipes, and how settings of a command change them."""

from __future__ import annotations

import pytest
import torch

from mmer_ray.errors import UsageError
from mmer_ray.models import families
from mmer_ray.models.interface import EmotionOutput, Targets
from mmer_ray.models.mmer.losses import LAMBDA, supervised_contrast
from mmer_ray.training.emotion_recipes import ALONE
from mmer_ray.training.family_recipes import recipe_of, terms_for, with_settings
from mmer_ray.training.recipe import Recipe


@pytest.mark.parametrize("mode", ["cached", "accumulated"])
@pytest.mark.parametrize("micro_batch_size", [None, 4])
def test_workers_share_the_rows_of_a_batch_each_once(mode: str, micro_batch_size: int | None) -> None:
    recipe = Recipe(batch_size=8, micro_batch_size=micro_batch_size, mode=mode)  # type: ignore[arg-type]
    for num_workers in (1, 2):
        parts = [part for worker in range(num_workers) for part in recipe.parts(worker, num_workers)]
        assert sorted(row for part in parts for row in range(8)[part]) == list(range(8))


def test_cached_micro_batches_are_the_same_for_one_worker_and_for_two() -> None:
    recipe = Recipe(batch_size=8, micro_batch_size=2)
    of_two = [part for worker in range(2) for part in recipe.parts(worker, 2)]
    assert sorted(of_two, key=lambda part: part.start) == recipe.parts(0, 1)


def test_a_batch_that_workers_cannot_share_is_refused_with_the_remedy() -> None:
    with pytest.raises(UsageError, match="3 workers cannot share 8 alike: choose a batch_size"):
        Recipe(batch_size=8).parts(0, 3)


def test_micro_batches_that_do_not_fill_a_batch_are_refused() -> None:
    with pytest.raises(UsageError, match="batches of 8 cannot be cut into micro-batches of 3"):
        Recipe(batch_size=8, micro_batch_size=3)


def test_settings_change_keys_of_every_kind() -> None:
    settings = ["num_epochs=3", "two_views=true", "micro_batch_size=none", "betas=0.9,0.98", "variation.crop_s=1,2"]
    changed = with_settings(Recipe(micro_batch_size=4), settings)
    assert (changed.num_epochs, changed.two_views, changed.micro_batch_size) == (3, True, None)
    assert (changed.betas, changed.variation.crop_s) == ((0.9, 0.98), (1.0, 2.0))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("speed=1", "no key 'speed'; keys: num_epochs"),
        ("num_epochs=many", "num_epochs=many does not fit"),
        ("num_epochs", "is no key=value"),
        ("mode=fast", "mode=fast does not fit"),
        ("num_epochs.x=3", "num_epochs has no keys of its own: set num_epochs=3 instead of num_epochs.x=3"),
        ("variation.speed.x=3", "recipe.variation: speed has no keys of its own"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_by_name(setting: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        with_settings(Recipe(), [setting])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("num_epochs=0", "num_epochs is 0; it must be at least 1"),
        ("peak_rate=0", "peak_rate is 0.0; it must be above 0 and below 1"),
        ("peak_rate=1", "peak_rate is 1.0; it must be above 0 and below 1"),
        ("peak_rate=nan", "peak_rate is nan; it must be"),
        ("warm_up_share=1", "warm_up_share is 1.0; it must be at least 0 and below 1"),
        ("final_share=1.1", "final_share is 1.1; it must be at least 0 and at most 1"),
        ("betas=0.9,1", r"betas is \(0.9, 1.0\); it must be at least 0 and below 1"),
        ("weight_decay=-0.1", "weight_decay is -0.1; it must be at least 0 and below 1"),
        ("max_gradient_norm=-1", "max_gradient_norm is -1.0; it must be at least 0"),
        ("max_gradient_norm=inf", "max_gradient_norm is inf; it must be"),
        ("average_decay=1", "average_decay is 1.0; it must be at least 0 and below 1"),
        ("steps_between_states=0", "steps_between_states is 0; it must be at least 1"),
        ("micro_batch_size=0", "micro_batch_size is 0; it must be at least 1"),
        ("seed=-1", "seed is -1; it must be at least 0"),
        ("variation.speed=1", "recipe.variation: speed is 1.0; it must be at least 0 and below 1"),
        ("variation.noise_share=2", "noise_share is 2.0; it must be at least 0 and at most 1"),
        ("variation.gain_db=nan", "gain_db is nan; it must be at least 0"),
        ("variation.num_masks=-1", "num_masks is -1; it must be at least 0"),
        ("variation.crop_s=2,1", r"crop_s is \(2.0, 1.0\); it must be two numbers, above 0, the lower one first"),
        ("variation.crop_s=0,1", r"crop_s is \(0.0, 1.0\); it must be two numbers, above 0"),
        ("variation.snr_range_db=nan,10", r"snr_range_db is \(nan, 10.0\); it must be two numbers, finite, the lower"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_range(setting: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        with_settings(Recipe(), [setting])


def test_the_ends_of_a_range_that_belong_to_it_are_taken() -> None:
    ends = ["final_share=1", "betas=0,0", "max_gradient_norm=0", "average_decay=none", "steps_between_states=none"]
    of_variation = ["crop_s=1,1", "noise_share=1", "snr_range_db=-5,-5", "speed=0"]
    changed = with_settings(Recipe(), [*ends, *(f"variation.{end}" for end in of_variation)])
    assert (changed.final_share, changed.betas, changed.average_decay) == (1.0, (0.0, 0.0), None)
    assert (changed.variation.crop_s, changed.variation.snr_range_db) == ((1.0, 1.0), (-5.0, -5.0))


def test_published_mmer_sees_two_utterances_at_once_four_times_a_step() -> None:
    recipe = recipe_of("mmer", "base")
    assert (recipe.parts(0, 1)[1], recipe.batch_size, recipe.mode) == (slice(2, 4), 8, "accumulated")


def test_mmer_on_frozen_encoders_has_a_recipe_of_its_own_and_reads_the_layer_that_heads_read() -> None:
    recipe = recipe_of("mmer", "whisper-tiny")
    assert recipe != recipe_of("mmer", "tiny")
    assert recipe.contrast == "textbook"
    assert families.sizes("mmer")["whisper-tiny"].audio["output_layer"] == ALONE.config.layers[0]


def test_the_contrastive_terms_of_mmer_are_those_that_the_recipe_names() -> None:
    rows = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    output, targets = EmotionOutput(rows[:, :4], contrast=rows), Targets(torch.tensor([0, 0, 1, 1]))
    for contrast in ("official", "textbook"):
        recipe = with_settings(Recipe(), [f"contrast={contrast}"])
        found = terms_for("mmer", recipe)(output, targets, None)
        expected = supervised_contrast(rows, targets.labels, recipe.contrast)
        torch.testing.assert_close(found["supervised"], LAMBDA * expected)
        assert terms_for("mmer_v1", recipe)(output, targets, None).keys() == {"category"}
