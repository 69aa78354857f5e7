"""How every family keeps its weights: safetensors and JSON, never a pickle."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file, save_file
from torch import nn

WEIGHTS_NAME = "model.safetensors"
CONFIG_NAME = "config.json"
DIGEST_BYTES = 16

Config = TypeVar("Config")


def write_folder(folder: Path, model: nn.Module, config: object, *, dtype: torch.dtype = torch.float16) -> None:
    """Write `model.safetensors` (floating-point tensors as `dtype`) and `config.json` (a dataclass's fields)."""
    assert is_dataclass(config)
    assert not isinstance(config, type)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: _stored(tensor, dtype) for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / WEIGHTS_NAME)
    # safetensors creates files that only their owner can read.
    (folder / WEIGHTS_NAME).chmod(0o644)
    (folder / CONFIG_NAME).write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")


def read_config(folder: Path, config_class: type[Config]) -> Config:
    """Read `config.json` into a flat frozen dataclass; an unknown key is refused by name."""
    values: dict[str, Any] = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
    known = [field.name for field in fields(config_class)]  # type: ignore[arg-type]
    if unknown := sorted(set(values) - set(known)):
        raise ValueError(f"{folder / CONFIG_NAME} has unknown keys {unknown}; the valid ones are {known}")
    return config_class(**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()})


def read_weights(folder: Path, model: nn.Module) -> None:
    """Load every tensor of `model.safetensors` into the model, in the model's own precision."""
    model.load_state_dict(load_file(folder / WEIGHTS_NAME), strict=True)


def digest(folder: Path) -> str:
    """Name a model by its bytes: 32 hex digits of BLAKE2b over configuration and weights."""
    hasher = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for name in (CONFIG_NAME, WEIGHTS_NAME):
        content = (folder / name).read_bytes()
        hasher.update(f"{name}:{len(content)}:".encode())
        hasher.update(content)
    return hasher.hexdigest()


def _stored(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return tensor.detach().to("cpu", dtype if tensor.is_floating_point() else tensor.dtype).contiguous()
