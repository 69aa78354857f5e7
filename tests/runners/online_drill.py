"""Replicas without models."""

from __future__ import annotations

import os

from mmer_ray.profiles import Profile
from mmer_ray.runners.online import Scorer
from mmer_ray.serving.interface import Scorers
from tests.serving.cheap_scorers import CheapScorers

DELAY_S = 1.0


class CheapScorer(Scorer):
    """A replica that answers each clip after a second."""

    def load(self, profile: Profile) -> Scorers:
        return CheapScorers(delay_s=DELAY_S)

    async def counted(self) -> dict[str, int]:
        """What became of the calls, and the process."""
        cheap = self._scorers
        assert isinstance(cheap, CheapScorers)
        return {
            "asked": cheap.num_asked,
            "answered": cheap.num_answered,
            "cancelled": cheap.num_cancelled,
            "pid": os.getpid(),
        }
