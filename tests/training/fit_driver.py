"""A training that tests kill: python -m tests.training.fit_driver SOUNDS FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from mmer_ray.models.category import category_loss
from mmer_ray.models.interface import EmotionOutput, Targets
from mmer_ray.training.augment import Variation
from mmer_ray.training.fit import Fitted, fit
from mmer_ray.training.recipe import Recipe
from tests.training.tones import Ear, material_of, tones

RECIPE = Recipe(
    num_epochs=4,
    batch_size=4,
    micro_batch_size=2,
    epochs_between_checks=2,
    selection="best",
    variation=Variation(crop_s=(0.1, 0.2), speed=0.05, gain_db=3.0),
)
"""Twelve steps: three an epoch."""


def cross_entropy(output: EmotionOutput, targets: Targets, augmented: EmotionOutput | None = None) -> torch.Tensor:
    return category_loss(output.logits, targets)


def run(sounds: Path, folder: Path, recipe: Recipe = RECIPE) -> Fitted:
    """Train on ten tones and choose on six others."""
    torch.manual_seed(0)
    material = material_of(tones(sounds, 10), tones(sounds, 6, seed=2))
    return fit(Ear(), cross_entropy, material, recipe, folder)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
