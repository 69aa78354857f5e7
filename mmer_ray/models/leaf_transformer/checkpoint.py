"""The checkpoint folder of `leaf_transformer`: `config.json`, `model.safetensors` and the tokenizer."""

from __future__ import annotations

from pathlib import Path

from mmer_ray.models import folders
from mmer_ray.models.interface import LoadedModel
from mmer_ray.models.leaf_transformer.config import LeafTransformerConfig
from mmer_ray.models.leaf_transformer.model import LeafTransformerModel

save = folders.save_model


def load(folder: Path) -> LoadedModel:
    """Read a checkpoint folder: float32, evaluation mode."""
    return folders.load_model(folder, LeafTransformerModel, LeafTransformerConfig)
