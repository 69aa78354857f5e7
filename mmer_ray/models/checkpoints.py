"""How every emotion family keeps a model on disk: one folder with `config.json`, `model.safetensors` and a tokenizer.

A family's `checkpoint.py` binds these functions to its own classes; foreign layouts are translated there too.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from mmer_ray.errors import PreflightError, UsageError
from mmer_ray.models.encoders import Source, load_tokenizer
from mmer_ray.models.interface import EmotionModel, LoadedModel

CONFIG_NAME = "config.json"
CARD_NAME = "MODEL_CARD.md"
WEIGHTS_SUFFIX = ".safetensors"
WEIGHTS_NAME = f"model{WEIGHTS_SUFFIX}"
WEIGHTS_MODE = 0o644


Config = TypeVar("Config")


def config_json(family: str, config: object) -> str:
    """Write a configuration with its family's name, by which checkpoints are told apart."""
    assert is_dataclass(config)
    assert not isinstance(config, type)
    return json.dumps({"family": family, **asdict(config)}, indent=2) + "\n"


def read_config(folder: Path, family: str, config_class: type[Config]) -> Config:
    """Read `config.json` into a family's frozen dataclass, lists as tuples. Raises `PreflightError`."""
    table: dict[str, Any] = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
    if table.pop("family", None) != family:
        raise PreflightError(f"{folder} holds no {family} checkpoint: its {CONFIG_NAME} names another family")
    known = {field.name for field in fields(config_class)}  # type: ignore[arg-type]
    if unknown := sorted(table.keys() - known):
        raise PreflightError(f"{folder / CONFIG_NAME} has unknown keys {unknown}; the valid ones are {sorted(known)}")
    return config_class(**{name: tuple(value) if isinstance(value, list) else value for name, value in table.items()})


def save_model(
    folder: Path, model: EmotionModel, tokenizer: PreTrainedTokenizerBase | None, dtype: torch.dtype
) -> None:
    """Write a checkpoint folder; floating-point weights are stored as `dtype`. No tokenizer: no text encoder."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: _stored(value, dtype) for name, value in model.state_dict().items()}
    save_file(weights, folder / WEIGHTS_NAME)
    # The library makes the file readable by its owner alone.
    (folder / WEIGHTS_NAME).chmod(WEIGHTS_MODE)
    (folder / CONFIG_NAME).write_text(config_json(model.family, model.config), encoding="utf-8")
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)


def load_model(folder: Path, model_class: type[EmotionModel], config_class: type[Any]) -> LoadedModel:
    """Read a checkpoint folder: float32, evaluation mode; the tokenizer where there is a text encoder that reads."""
    config = read_config(folder, model_class.family, config_class)
    model = model_class(config)
    fill(model, load_file(folder / WEIGHTS_NAME), folder / WEIGHTS_NAME)
    return LoadedModel(model.eval(), None if config.text is None else load_tokenizer(Source(str(folder))))


def read_foreign(file: Path) -> dict[str, Tensor]:
    """Read somebody else's state dict, bare or as `{"state_dict": ...}`; nothing in the file is executed.

    Raises `UsageError` for a file that is none, or that holds anything but tensors.
    """
    try:
        if file.suffix == WEIGHTS_SUFFIX:
            return dict(load_file(file))
        table = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, ValueError, RuntimeError, EOFError, SafetensorError, pickle.UnpicklingError) as exc:
        reason = str(exc).splitlines()[0][:200] if str(exc) else type(exc).__name__
        raise UsageError(f"{file} is no file of tensors alone ({reason}); give a .pt or .safetensors") from exc
    table = table.get("state_dict", table) if isinstance(table, dict) else table
    if not isinstance(table, dict) or not all(isinstance(value, Tensor) for value in table.values()):
        raise UsageError(f"{file} holds no state dict; give the file that the training wrote with torch.save")
    return table


def fill(model: nn.Module, weights: Mapping[str, Tensor], source: Path) -> None:
    """Copy weights into a model; every key on either side must have its partner, of its shape."""
    ours = dict(model.state_dict())
    missing, foreign = ours.keys() - weights.keys(), weights.keys() - ours.keys()
    if missing or foreign:
        raise PreflightError(f"{source} does not fit: missing {sorted(missing)[:3]}, unknown {sorted(foreign)[:3]}")
    wrong = [name for name, value in weights.items() if value.shape != ours[name].shape]
    if wrong:
        raise PreflightError(f"{source} does not fit its configuration: shapes differ in {sorted(wrong)[:3]}")
    model.load_state_dict(dict(weights))


def _stored(value: Tensor, dtype: torch.dtype) -> Tensor:
    return value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype).contiguous()
