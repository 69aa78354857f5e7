"""What is said of families without loading them."""

from __future__ import annotations

import pytest
import torch

from mmer_ray.models.families import loss_of
from mmer_ray.models.family_names import FAMILIES, READ_VARIATIONS
from mmer_ray.models.interface import EmotionOutput, Targets
from mmer_ray.models.leaf_transformer.losses import STAGES


@pytest.mark.parametrize("family", FAMILIES)
def test_the_losses_that_read_a_second_view_are_those_that_are_said_to(family: str) -> None:
    rows = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0))
    names = {name for branches in STAGES.values() for name in branches}
    clean, first, second = (EmotionOutput(row, contrast=row, branches=dict.fromkeys(names, row)) for row in rows)
    targets = Targets(torch.tensor([0, 0, 1, 2]))
    reads = not torch.equal(loss_of(family)(clean, targets, first), loss_of(family)(clean, targets, second))
    assert reads == (family in READ_VARIATIONS)
