"""What a model said of labelled utterances: all that an evaluation needs.

Shape letters: N utterances, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mmer_ray.training.utterances import Utterance


@dataclass(frozen=True)
class Predictions:
    """A model's answers to one test set."""

    utterances: tuple[Utterance, ...]
    labels: tuple[str, ...]
    """Names of the K classes, in the order of the logits."""
    logits: NDArray[np.float32]
    """Shape (N, K), before the temperature."""
    dimensions: NDArray[np.float32] | None = None
    """Shape (N, 3): valence, arousal, dominance, -1..1; NaN in the column of one that the model lacks."""
    fold: str = ""
    """Name of the split whose test set this is."""
    seed: int = 0

    def in_order(self, labels: tuple[str, ...]) -> Predictions:
        """The same answers with the classes in the order of `labels`: families have orders of their own. Where these
        are other classes, the answers stay as they are."""
        if labels == self.labels or sorted(labels) != sorted(self.labels):
            return self
        return replace(self, labels=labels, logits=self.logits[:, [self.labels.index(label) for label in labels]])
