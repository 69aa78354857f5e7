"""The checkpoint folder of `leaf_transformer`: `config.json`, `model.safetensors` and the tokenizer."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from mmer_ray.models import checkpoints
from mmer_ray.models.interface import LoadedModel
from mmer_ray.models.leaf_transformer.config import FAMILY, LeafTransformerConfig
from mmer_ray.models.leaf_transformer.model import LeafTransformerModel


def save(folder: Path, model: LeafTransformerModel, tokenizer: PreTrainedTokenizerBase, dtype: torch.dtype) -> None:
    """Write a checkpoint that `load` reads back; weights are stored as `dtype`."""
    checkpoints.save_model(folder, model, checkpoints.config_json(FAMILY, model.config), tokenizer, dtype)


def load(folder: Path) -> LoadedModel:
    """Read a checkpoint folder: float32, evaluation mode."""
    model = LeafTransformerModel(checkpoints.read_config(folder, FAMILY, LeafTransformerConfig))
    checkpoints.load_weights(model, folder)
    return LoadedModel(model.eval(), checkpoints.load_tokenizer_of(model.config, folder))
