"""Our checkpoint folder. The weights of encoders with a name stay where that name finds them."""

from __future__ import annotations

from pathlib import Path

from mmer_ray.models import folders, named_parts
from mmer_ray.models.frozen_encoder.config import FrozenEncoderConfig
from mmer_ray.models.frozen_encoder.model import FrozenEncoderModel
from mmer_ray.models.interface import LoadedModel

save = folders.save_model


def load(folder: Path) -> LoadedModel:
    """Read a checkpoint folder and the encoders that it names: float32, evaluation mode."""
    return folders.load_model(folder, FrozenEncoderModel, FrozenEncoderConfig)


def on_encoder(config: FrozenEncoderConfig, encoder_name: str, text_name: str | None = None) -> FrozenEncoderModel:
    """Make a model with a fresh head on a pretrained Whisper and, where it is named, on a text encoder.

    Their sizes and digests go into its configuration. Raises `PreflightError` where one is not here, `UsageError` for a
    name that cannot be meant.
    """
    return named_parts.on_pretrained(FrozenEncoderModel, config, encoder_name=encoder_name, text_name=text_name)
