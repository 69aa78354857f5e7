"""Our checkpoint folder. The weights of an encoder with a name stay where that name finds them."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import torch

from mmer_ray.errors import PreflightError
from mmer_ray.models import folders
from mmer_ray.models.encoder_names import resolve_encoder
from mmer_ray.models.encoders import load_tokenizer
from mmer_ray.models.frozen_encoder.config import FAMILY, FrozenEncoderConfig
from mmer_ray.models.frozen_encoder.model import FrozenEncoderModel
from mmer_ray.models.interface import LoadedModel
from mmer_ray.models.layout import WEIGHTS_NAME
from mmer_ray.models.library import PreTrainedTokenizerBase
from mmer_ray.models.whisper_encoder import checkpoint as whisper_checkpoint

ENCODER = "encoder."
"""Begins the names of the encoder's tensors."""


def save(
    folder: Path, model: FrozenEncoderModel, tokenizer: PreTrainedTokenizerBase | None, dtype: torch.dtype
) -> None:
    """Write a checkpoint that `load` reads back; floating-point weights are stored as `dtype`."""
    kept = {
        name: value
        for name, value in model.state_dict().items()
        if model.config.encoder_name is None or not name.startswith(ENCODER)
    }
    folders.write_tensors(folder, kept, model.config, family=FAMILY, dtype=dtype)
    if tokenizer is not None and model.config.text is not None:
        tokenizer.save_pretrained(folder)


def load(folder: Path) -> LoadedModel:
    """Read a checkpoint folder and the encoder that it names: float32, evaluation mode.

    Raises `PreflightError` where the encoder is not here, is another than the one that the head was trained on, or has
    other sizes.
    """
    config = folders.read_config(folder, FrozenEncoderConfig, FAMILY)
    model = FrozenEncoderModel(config)
    weights = folders.read_tensors(folder)
    if config.encoder_name is not None:
        weights |= _encoder_weights(config, folder)
    folders.fill(model, weights, folder / WEIGHTS_NAME)
    return LoadedModel(model.eval(), None if config.text is None else load_tokenizer(folder))


def on_encoder(config: FrozenEncoderConfig, encoder_name: str) -> FrozenEncoderModel:
    """Make a model with a fresh head on a pretrained Whisper, whose sizes and digest go into its configuration.

    Raises `PreflightError` where the Whisper is not here, `UsageError` for a name that cannot be meant.
    """
    found = resolve_encoder(encoder_name)
    encoder = whisper_checkpoint.load(found.path)
    config = replace(config, encoder=asdict(encoder.config), encoder_name=found.name)
    model = FrozenEncoderModel(config)
    model.encoder.load_state_dict(encoder.state_dict())
    return model


def _encoder_weights(config: FrozenEncoderConfig, folder: Path) -> dict[str, torch.Tensor]:
    assert config.encoder_name is not None
    encoder = whisper_checkpoint.load(resolve_encoder(config.encoder_name).path)
    if encoder.config != config.whisper:
        raise PreflightError(f"{folder} was trained on an encoder of other sizes than {config.encoder_name} has")
    return {ENCODER + name: value for name, value in encoder.state_dict().items()}
