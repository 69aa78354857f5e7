"""A training of so many minutes, over as many sittings as it takes: how the embedded models are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mmer_ray.training.checkpoints import Checkpoints
from mmer_ray.training.learner import Learner, Terms
from mmer_ray.training.schedule import Minutes

Batch = TypeVar("Batch")
Log = Callable[[str], None]
FIRST_CHECK_S = 60.0


class Sittings:
    """A learner's minutes, and the states between them."""

    def __init__(self, learner: Learner[Any], minutes: float, states: Path, asked: str) -> None:
        """Go on from the latest state in the folder `states`; `asked` as for `Checkpoints`."""
        self.learner = learner
        self._checkpoints = Checkpoints(states, asked)
        latest = self._checkpoints.latest()
        spent_s = 0.0 if latest is None else float(self._checkpoints.restore(learner, latest)["spent_s"])
        self._budget = Minutes(minutes, spent_s)

    def train(
        self, batches: Iterator[Batch], minutes_between_checks: float, check: Callable[[], str], log: Log
    ) -> None:
        """Step until the minutes are spent, which checks count to.

        At a check, the state is kept, and the log told where it stands and what `check` finds.
        """
        next_check_s = self._budget.spent_s + min(FIRST_CHECK_S, minutes_between_checks * 60)
        terms: list[Terms] = []
        while (share := self._budget.share(self.learner.num_steps)) <= 1:
            terms.append(self.learner.step([next(batches)], share))
            if self._budget.spent_s > next_check_s:
                minutes, found = self._budget.spent_s / 60, check()
                log(f"{minutes:.1f} min, step {self.learner.num_steps}, {_means(terms)}{found and ', '}{found}")
                self._keep()
                next_check_s, terms = self._budget.spent_s + minutes_between_checks * 60, []
        self._keep()

    def _keep(self) -> None:
        self._checkpoints.save(self.learner, extra={"spent_s": self._budget.spent_s})


def _means(terms: list[Terms]) -> str:
    return ", ".join(f"{name} {np.mean([one[name] for one in terms]):.3g}" for name in terms[0])
