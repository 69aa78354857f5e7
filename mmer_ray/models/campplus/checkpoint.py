"""CAM++ on disk: `model.safetensors` and `config.json` in one folder."""

from __future__ import annotations

from pathlib import Path

import torch

from mmer_ray.models import folders
from mmer_ray.models.campplus.config import CampplusConfig
from mmer_ray.models.campplus.model import CampplusModel


def save(model: CampplusModel, folder: Path) -> None:
    """Write the model's folder, weights as float32."""
    folders.write_folder(folder, model, model.config, dtype=torch.float32)


def load(folder: Path) -> CampplusModel:
    """Read a model's folder: float32 weights, evaluation mode, on the CPU. Raises `PreflightError`."""
    return folders.read_model(folder, CampplusModel, CampplusConfig)
