"""One fold by several workers: python -m tests.runners.train_driver SOUNDS FOLDER NUM_WORKERS."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from mmer_ray.runners.train import train
from mmer_ray.training.fresh_model import Architecture
from mmer_ray.training.one_fold import FoldTask
from mmer_ray.training.recipe import Recipe
from mmer_ray.training.run import Asked
from mmer_ray.training.utterances import Split
from tests.training.tones import LABELS, tones

RECIPE = Recipe(num_epochs=4, batch_size=4, micro_batch_size=2, two_views=True, epochs_between_checks=4)
"""Eight steps, two an epoch."""


@dataclass(frozen=True)
class Seen(Architecture):
    """Leaves a file named by its number for each process that looks at it."""

    seen: Path = Path()

    @property
    def is_head(self) -> bool:
        self.seen.mkdir(exist_ok=True)
        (self.seen / str(os.getpid())).touch()
        return super().is_head


def task_of(sounds: Path, folder: Path) -> FoldTask:
    """MMER at its tiny size on eight tones, four and four."""
    train_set, development, test = (tuple(tones(sounds, num, seed)) for num, seed in ((8, 1), (4, 2), (4, 3)))
    asked = Asked(Architecture("mmer"), RECIPE, data=str(sounds))
    return FoldTask(asked, LABELS, Split("Fold 1", train_set, development, test), seed=0, folder=folder)


def main() -> None:
    sounds, folder, num_workers = sys.argv[1:]
    train([task_of(Path(sounds), Path(folder))], int(num_workers))


if __name__ == "__main__":
    main()
