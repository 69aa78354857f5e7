"""The transcriber on disk: `model.safetensors` and `config.json` in one folder."""

from __future__ import annotations

from pathlib import Path

from mmer_ray.models import weights
from mmer_ray.models.ctc.config import CtcConfig
from mmer_ray.models.ctc.model import CtcModel

digest = weights.digest


def save(model: CtcModel, folder: Path) -> None:
    """Write the model's folder, weights rounded to float16."""
    weights.write_folder(folder, model, model.config)


def load(folder: Path) -> CtcModel:
    """Read a model's folder: float32 weights, evaluation mode, on the CPU."""
    model = CtcModel(weights.read_config(folder, CtcConfig))
    weights.read_weights(folder, model)
    return model.eval()
