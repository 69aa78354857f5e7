"""Random numbers drawn twice."""

from __future__ import annotations

import random

import numpy as np
import torch

from mmer_ray.training.rng_states import RngStates


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(1))


def test_every_generator_goes_on_from_the_states_that_were_kept() -> None:
    states = RngStates.now()
    first = draw()
    assert draw() != first
    states.restore()
    assert draw() == first
