"""The transcriber on disk: `model.safetensors` and `config.json` in one folder."""

from __future__ import annotations

from pathlib import Path

from mmer_ray.models import folders
from mmer_ray.models.ctc.config import CtcConfig
from mmer_ray.models.ctc.model import CtcModel


def save(model: CtcModel, folder: Path) -> None:
    """Write the model's folder, weights rounded to float16."""
    folders.write_folder(folder, model, model.config)


def load(folder: Path) -> CtcModel:
    """Read a model's folder: float32 weights, evaluation mode, on the CPU. Raises `PreflightError`."""
    return folders.read_model(folder, CtcModel, CtcConfig)
