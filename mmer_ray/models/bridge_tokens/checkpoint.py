"""Our checkpoint folder (`config.json`, `model.safetensors`, `tokenizer.json`); no weights were published."""

from __future__ import annotations

from pathlib import Path

from mmer_ray.models import folders
from mmer_ray.models.bridge_tokens.config import BridgeTokensConfig
from mmer_ray.models.bridge_tokens.model import BridgeTokensModel
from mmer_ray.models.interface import LoadedModel

save = folders.save_model


def load(folder: Path) -> LoadedModel:
    """Read a checkpoint folder: float32, evaluation mode."""
    return folders.load_model(folder, BridgeTokensModel, BridgeTokensConfig)
