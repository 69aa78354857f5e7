"""The speaker model on disk: `model.safetensors` and `config.json` in one folder."""

from __future__ import annotations

from pathlib import Path

from mmer_ray.models import weights
from mmer_ray.models.speaker.config import SpeakerConfig
from mmer_ray.models.speaker.model import SpeakerModel

digest = weights.digest


def save(model: SpeakerModel, folder: Path) -> None:
    """Write the model's folder, weights rounded to float16."""
    weights.write_folder(folder, model, model.config)


def load(folder: Path) -> SpeakerModel:
    """Read a model's folder: float32 weights, evaluation mode, on the CPU."""
    model = SpeakerModel(weights.read_config(folder, SpeakerConfig))
    weights.read_weights(folder, model)
    return model.eval()
