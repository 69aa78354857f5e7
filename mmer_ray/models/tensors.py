"""Tensors by name into a model that must have exactly these."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from mmer_ray.errors import PreflightError


def fill(model: nn.Module, weights: Mapping[str, Tensor], source: Path) -> None:
    """Copy weights into a model; every key on either side must have its partner, of its shape.

    Raises `PreflightError`, naming `source`, where one has none.
    """
    ours = dict(model.state_dict())
    missing, foreign = ours.keys() - weights.keys(), weights.keys() - ours.keys()
    if missing or foreign:
        raise PreflightError(f"{source} does not fit: missing {sorted(missing)[:3]}, unknown {sorted(foreign)[:3]}")
    wrong = [name for name, value in weights.items() if value.shape != ours[name].shape]
    if wrong:
        raise PreflightError(f"{source} does not fit its configuration: shapes differ in {sorted(wrong)[:3]}")
    model.load_state_dict(dict(weights))
