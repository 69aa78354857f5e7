"""Random modality masking: in some epochs, training does without the sound or without the words.

The paper gives the first probability, the shape (a cosine), the least probability and the shares.
"""

from __future__ import annotations

import math
from typing import Literal, Protocol, runtime_checkable

import numpy as np

Modality = Literal["audio", "text"]


@runtime_checkable
class MasksModalities(Protocol):
    """A model that can do without the sound or without the words."""

    def mask(self, modality: Modality | None) -> None:
        """Do without a modality from now on; None: with both."""


FIRST_PROBABILITY = 0.8
LEAST_PROBABILITY = 0.1
"""Below this the probability is 0."""
TEXT_SHARE = 0.6
"""Of the masked epochs; the others mask the audio."""


def masking_probability(epoch: int, num_epochs: int) -> float:
    """Return how likely epoch `epoch` (from 0) is to mask a modality: 0.8 at first, falling to 0 along a cosine."""
    probability = FIRST_PROBABILITY * 0.5 * (1 + math.cos(math.pi * epoch / num_epochs))
    return probability if probability >= LEAST_PROBABILITY else 0.0


def draw_masked_modality(epoch: int, num_epochs: int, rng: np.random.Generator) -> Modality | None:
    """Choose what epoch `epoch` (from 0) does without, if anything; it always takes two numbers from `rng`."""
    masks, choice = rng.random(2)
    if masks >= masking_probability(epoch, num_epochs):
        return None
    return "text" if choice < TEXT_SHARE else "audio"
