"""A training by several processes joined by gloo: python -m tests.training.workers_driver FOLDER NUM_WORKERS."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import distributed, multiprocessing

from mmer_ray.models import families
from mmer_ray.training.augment import Variation
from mmer_ray.training.fit import fit
from mmer_ray.training.recipe import Recipe
from tests.training.tones import material_of, tones

RECIPE = Recipe(
    num_epochs=2,
    batch_size=4,
    micro_batch_size=2,
    two_views=True,
    reads_spelling=True,
    epochs_between_checks=2,
    variation=Variation(speed=0.05, gain_db=3.0),
)
"""Six steps and a check."""


def work(rank: int, folder: Path, num_workers: int) -> None:
    """Be one of the workers."""
    if num_workers > 1:
        store = f"file://{folder}/store"
        distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=num_workers)
    torch.manual_seed(0)
    model = families.build("mmer", "tiny")
    material = material_of(tones(folder / f"sounds-{rank}", 10), tones(folder / f"sounds-{rank}", 4, 2), model.labels)
    fit(model, families.terms_of("mmer"), material, RECIPE, folder / f"workers-{num_workers}")
    if num_workers > 1:
        distributed.destroy_process_group()


if __name__ == "__main__":
    place, number = Path(sys.argv[1]), int(sys.argv[2])
    if number == 1:
        work(0, place, 1)
    else:
        multiprocessing.spawn(work, (place, number), nprocs=number)
