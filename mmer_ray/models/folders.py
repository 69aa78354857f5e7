"""A model of ours on disk: one folder with `config.json`, `model.safetensors` and, where it reads text, a tokenizer.

The families' `checkpoint.py` bind these functions to their own classes; foreign layouts are translated there too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mmer_ray.errors import PreflightError
from mmer_ray.models import named_parts
from mmer_ray.models.emotion_checkpoints import read_json_config
from mmer_ray.models.encoders import load_tokenizer
from mmer_ray.models.interface import EmotionModel, LoadedModel
from mmer_ray.models.layout import CONFIG_NAME, WEIGHTS_NAME
from mmer_ray.models.tensors import fill

if TYPE_CHECKING:
    from mmer_ray.models.library import PreTrainedTokenizerBase

WEIGHTS_MODE = 0o644
TEMPERATURE = "temperature"
"""Key of `config.json` that any emotion model may have beside its configuration."""
Config = TypeVar("Config")
Model = TypeVar("Model", bound=nn.Module)


def write_folder(
    folder: Path, model: nn.Module, config: object, *, family: str | None = None, dtype: torch.dtype = torch.float16
) -> None:
    """Write weights, floating-point ones as `dtype`, and a configuration, with its family's name where it has one."""
    write_tensors(folder, model.state_dict(), config, family=family, dtype=dtype)


def write_tensors(
    folder: Path, tensors: Mapping[str, Tensor], config: object, *, family: str | None, dtype: torch.dtype
) -> None:
    """Write a model by its tensors: as `write_folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: _stored(value, dtype) for name, value in tensors.items()}, folder / WEIGHTS_NAME)
    # The library makes the file readable by its owner alone.
    (folder / WEIGHTS_NAME).chmod(WEIGHTS_MODE)
    (folder / CONFIG_NAME).write_text(config_json(config, family), encoding="utf-8")


def config_json(config: object, family: str | None = None) -> str:
    """Write a dataclass as `config.json` holds it; checkpoints of emotion families are told apart by the name."""
    assert is_dataclass(config)
    assert not isinstance(config, type)
    named = {} if family is None else {"family": family}
    return json.dumps(named | asdict(config), indent=2) + "\n"


def read_config(folder: Path, config_class: type[Config], family: str | None = None) -> Config:
    """Read `config.json` into a frozen dataclass, lists as tuples.

    Raises `PreflightError` where it cannot be read, names another family, or has keys that the class lacks.
    """
    table = dict(read_json_config(folder))
    if table.pop("family", None) != family:
        wanted = "no emotion family" if family is None else family
        raise PreflightError(f"{folder / CONFIG_NAME} names another family; expected {wanted}")
    known = {field.name for field in fields(config_class)}  # type: ignore[arg-type]
    if family is not None and TEMPERATURE not in known:
        table.pop(TEMPERATURE, None)
    if unknown := sorted(table.keys() - known):
        raise PreflightError(f"{folder / CONFIG_NAME} has unknown keys {unknown}; the valid ones are {sorted(known)}")
    return config_class(**{name: tuple(value) if isinstance(value, list) else value for name, value in table.items()})


def write_temperature(folder: Path, temperature: float) -> None:
    """Let the probabilities of a checkpoint be those of its logits over a temperature, above 0."""
    assert temperature > 0
    table = {**read_json_config(folder), TEMPERATURE: temperature}
    unfinished = folder / f"{CONFIG_NAME}.part"
    unfinished.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(folder / CONFIG_NAME)


def read_model(
    folder: Path, model_class: Callable[[Config], Model], config_class: type[Config], family: str | None = None
) -> Model:
    """Read a model: float32 weights, evaluation mode, on the CPU. Raises `PreflightError`."""
    model = model_class(read_config(folder, config_class, family))
    read_weights(folder, model)
    return model.eval()


def read_weights(folder: Path, model: nn.Module) -> None:
    """Load `model.safetensors` into a model, in the model's own precision. Raises `PreflightError` where it differs."""
    fill(model, read_tensors(folder), folder / WEIGHTS_NAME)


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Read `model.safetensors`: name -> values as stored. Raises `PreflightError` where it cannot be read."""
    file = folder / WEIGHTS_NAME
    try:
        weights: dict[str, Tensor] = load_file(file)
    except (OSError, SafetensorError) as exc:
        raise PreflightError(f"{file} cannot be read: {exc}; copy or fetch the model again") from exc
    return weights


def save_model(
    folder: Path, model: EmotionModel, tokenizer: PreTrainedTokenizerBase | None, dtype: torch.dtype
) -> None:
    """Write an emotion model, but for encoders that have a name; floating-point weights are stored as `dtype`.

    No tokenizer: no text encoder, or one with a name, which has its tokenizer beside it.
    """
    named = model.named_parts()
    elsewhere = tuple(f"{part}." for part in named)
    kept = {name: value for name, value in model.state_dict().items() if not name.startswith(elsewhere)}
    write_tensors(folder, kept, model.config, family=model.family, dtype=dtype)
    if tokenizer is not None and model.text_encoder_part not in named:
        tokenizer.save_pretrained(folder)


def load_model(folder: Path, model_class: type[EmotionModel], config_class: type[Any]) -> LoadedModel:
    """Read an emotion model: float32, evaluation mode; the tokenizer where there is a text encoder that reads.

    Raises `PreflightError` where the folder, or an encoder that it names, is not whole or is another.
    """
    config = read_config(folder, config_class, model_class.family)
    model = model_class(config)
    fill(model, read_tensors(folder) | named_parts.weights_of(model), folder / WEIGHTS_NAME)
    if not hasattr(config, TEMPERATURE):
        model.temperature = float(read_json_config(folder).get(TEMPERATURE, 1.0))
    tokenizer = named_parts.named_tokenizer(model)
    if tokenizer is None and config.text is not None:
        tokenizer = load_tokenizer(folder)
    return LoadedModel(model.eval(), tokenizer)


def _stored(value: Tensor, dtype: torch.dtype) -> Tensor:
    return value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype).contiguous()
