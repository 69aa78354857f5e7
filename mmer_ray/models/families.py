"""The emotion families by name: their sizes, models and losses, and the one way to load a checkpoint of any of them.

Every family is a sub-package with the same four files: `config.py` (`SIZES`: name -> configuration), `model.py`
(`Model`), `losses.py` (`terms(output, targets, augmented)` and their sum, `loss`) and `checkpoint.py` (`save`, `load`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmer_ray.errors import UsageError
from mmer_ray.models.emotion_checkpoints import family_in
from mmer_ray.models.family_names import FAMILIES
from mmer_ray.models.interface import EmotionModel, EmotionOutput, LoadedModel, Targets
from mmer_ray.models.library import PreTrainedTokenizerBase

Loss = Callable[[EmotionOutput, Targets, EmotionOutput | None], Tensor]
Terms = Callable[[EmotionOutput, Targets, EmotionOutput | None], Mapping[str, Tensor]]


def sizes(family: str) -> Mapping[str, Any]:
    """Name of a size -> its configuration, a frozen dataclass. Raises `UsageError` for an unknown family."""
    table: Mapping[str, Any] = _part(family, "config").SIZES
    return table


def config_of(family: str, size: str) -> Any:
    """The configuration of a family's named size. Raises `UsageError` for an unknown family or size."""
    known = sizes(family)
    if size not in known:
        raise UsageError(f"{family} has no size {size!r}; sizes: {', '.join(known)}")
    return known[size]


def model_class(family: str) -> type[EmotionModel]:
    """The class of a family's models. Raises `UsageError` for an unknown family."""
    found: type[EmotionModel] = _part(family, "model").Model
    return found


def build(family: str, size: str) -> EmotionModel:
    """Make a model with fresh weights. Raises `UsageError` for an unknown family or size."""
    return model_class(family)(config_of(family, size))


def loss_of(family: str) -> Loss:
    """The family's training loss: (output, targets, the augmented view's output or None) -> scalar."""
    loss: Loss = _part(family, "losses").loss
    return loss


def terms_of(family: str) -> Terms:
    """The parts of the family's training loss by name, weighted, so that they add up to it; takes what a loss does."""
    terms: Terms = _part(family, "losses").terms
    return terms


def save_emotion_model(
    folder: Path, model: EmotionModel, tokenizer: PreTrainedTokenizerBase | None, dtype: torch.dtype = torch.float32
) -> None:
    """Write a checkpoint folder that `load_emotion_model` reads; weights are stored as `dtype`."""
    _part(model.family, "checkpoint").save(folder, model, tokenizer, dtype)


def load_emotion_model(folder: Path) -> LoadedModel:
    """Load the checkpoint in a folder; `config.json` names the family or the library's class of a classifier."""
    loaded: LoadedModel = _part(family_in(folder), "checkpoint").load(folder)
    return loaded


def _part(family: str, part: str) -> Any:
    if family not in FAMILIES:
        raise UsageError(f"there is no family {family!r}; families: {', '.join(FAMILIES)}")
    return import_module(f"mmer_ray.models.{family}.{part}")
