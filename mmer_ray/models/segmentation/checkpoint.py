"""The segmentation model on disk: `model.safetensors` and `config.json` in one folder."""

from __future__ import annotations

from pathlib import Path

import torch

from mmer_ray.models import folders
from mmer_ray.models.segmentation.config import SegmentationConfig
from mmer_ray.models.segmentation.model import SegmentationModel


def save(model: SegmentationModel, folder: Path) -> None:
    """Write the model's folder, weights as float32."""
    folders.write_folder(folder, model, model.config, dtype=torch.float32)


def load(folder: Path) -> SegmentationModel:
    """Read a model's folder: float32 weights, evaluation mode, on the CPU. Raises `PreflightError`."""
    return folders.read_model(folder, SegmentationModel, SegmentationConfig)
