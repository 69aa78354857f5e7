"""Our checkpoint folder (`config.json`, `model.safetensors`, tokenizer)."""

from __future__ import annotations

from pathlib import Path

from mmer_ray.models import folders
from mmer_ray.models.interface import LoadedModel
from mmer_ray.models.late_fusion.config import LateFusionConfig
from mmer_ray.models.late_fusion.model import LateFusionModel

save = folders.save_model


def load(folder: Path) -> LoadedModel:
    """Read a checkpoint folder: float32, evaluation mode."""
    return folders.load_model(folder, LateFusionModel, LateFusionConfig)
