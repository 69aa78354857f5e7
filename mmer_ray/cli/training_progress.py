"""How far the trainings of a run are, in lines."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from mmer_ray.cli.output import count

if TYPE_CHECKING:
    from mmer_ray.runners.train import OnProgress, Progress

TOLD_EVERY_S = 30.0


def training_lines(write: Callable[[str], None]) -> OnProgress:
    """Write a line when a training has ended, and every `TOLD_EVERY_S` how far those under way are."""
    told, told_at_s = -1, 0.0

    def tell(progress: Progress) -> None:
        nonlocal told, told_at_s
        if progress.num_done != told or monotonic() - told_at_s >= TOLD_EVERY_S:
            told, told_at_s = progress.num_done, monotonic()
            running = f"; under way: {', '.join(progress.running)}" if progress.running else ""
            write(f"{progress.num_done} of {count(progress.num_tasks, 'training')} done{running}")

    return tell
