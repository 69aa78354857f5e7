"""The states of every generator that a model's forward pass may draw from."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


class RngStates(NamedTuple):
    """Of Python, NumPy, torch on the CPU and, where this process uses them, torch on its CUDA devices."""

    python: Any
    numpy: Any
    cpu: Tensor
    cuda: list[Tensor]

    @classmethod
    def now(cls) -> RngStates:
        """The states at this moment."""
        uses_cuda = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        cuda = torch.cuda.get_rng_state_all() if uses_cuda else []
        # The transformers library draws SpecAugment's masks from NumPy's own generator.
        numpy = np.random.get_state()
        return cls(random.getstate(), numpy, torch.get_rng_state(), cuda)

    def restore(self) -> None:
        """Let every generator go on from here."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.cpu)
        if self.cuda:
            torch.cuda.set_rng_state_all(self.cuda)
