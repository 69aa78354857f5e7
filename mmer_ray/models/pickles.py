"""Reading a pickle of tensors without running code that it may hold."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mmer_ray.errors import PreflightError


def read_pickle(file: Path) -> Mapping[str, Any]:
    """Read tensors and plain values alone. Raises `PreflightError` for a file that holds anything else."""
    try:
        table = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as exc:
        reason = str(exc).partition("\n")[0]
        raise PreflightError(
            f"{file} is no plain pickle of tensors: {reason}; bring another copy of the model"
        ) from exc
    if not isinstance(table, Mapping):
        raise PreflightError(f"{file} holds a {type(table).__name__}, not tensors by name")
    return table
