"""Reading a pickle of tensors without running code that it may hold."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch

from mmer_ray.errors import PreflightError


class _Inert:
    """Stands for any class or function that a pickle names: it is made, called and filled without effect."""

    def __new__(cls, *arguments: object, **options: object) -> _Inert:
        return object.__new__(cls)

    def __init__(self, *arguments: object, **options: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def read_pickle(file: Path, plain: Collection[type] = ()) -> Mapping[str, Any]:
    """Read the tensors and plain values of a pickle; what else it names (a training's settings) is left empty.

    `plain`: classes of plain values that are made as they are. Nothing else that it names is imported or run. Raises
    `PreflightError` for a file that cannot be read so.
    """
    try:
        named = torch.serialization.get_unsafe_globals_in_checkpoint(file)
        kept = {f"{one.__module__}.{one.__qualname__}": one for one in plain}
        stands = [(kept.get(name) or type("Inert", (_Inert,), {}), name) for name in named]
        with torch.serialization.safe_globals(stands):  # type: ignore[arg-type]
            table = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as exc:
        reason = str(exc).partition("\n")[0]
        raise PreflightError(f"{file} is no pickle of tensors: {reason}; bring another copy of the model") from exc
    if not isinstance(table, Mapping):
        raise PreflightError(f"{file} holds a {type(table).__name__}, not tensors by name")
    return table
