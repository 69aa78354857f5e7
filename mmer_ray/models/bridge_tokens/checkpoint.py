"""Our checkpoint folder (`config.json`, `model.safetensors`, `tokenizer.json`); no weights were published."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from mmer_ray.models import checkpoints
from mmer_ray.models.bridge_tokens.config import FAMILY, BridgeTokensConfig
from mmer_ray.models.bridge_tokens.model import BridgeTokensModel
from mmer_ray.models.interface import LoadedModel


def save(folder: Path, model: BridgeTokensModel, tokenizer: PreTrainedTokenizerBase, dtype: torch.dtype) -> None:
    """Write a checkpoint that `load` reads back; weights are stored as `dtype`."""
    checkpoints.save_model(folder, model, checkpoints.config_json(FAMILY, model.config), tokenizer, dtype)


def load(folder: Path) -> LoadedModel:
    """Read a checkpoint folder: float32, evaluation mode."""
    model = BridgeTokensModel(checkpoints.read_config(folder, FAMILY, BridgeTokensConfig))
    checkpoints.load_weights(model, folder)
    return LoadedModel(model.eval(), checkpoints.load_tokenizer_of(model.config, folder))
