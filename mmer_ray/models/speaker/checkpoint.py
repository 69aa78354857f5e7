"""The speaker model on disk: `model.safetensors` and `config.json` in one folder."""

from __future__ import annotations

from pathlib import Path

from mmer_ray.models import folders
from mmer_ray.models.speaker.config import SpeakerConfig
from mmer_ray.models.speaker.model import SpeakerModel


def save(model: SpeakerModel, folder: Path) -> None:
    """Write the model's folder, weights rounded to float16."""
    folders.write_folder(folder, model, model.config)


def load(folder: Path) -> SpeakerModel:
    """Read a model's folder: float32 weights, evaluation mode, on the CPU. Raises `PreflightError`."""
    return folders.read_model(folder, SpeakerModel, SpeakerConfig)
