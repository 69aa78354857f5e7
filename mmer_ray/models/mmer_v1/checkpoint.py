"""Our checkpoint folder, and the keys of the first version's published folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mmer_ray.models import folders
from mmer_ray.models.interface import LoadedModel
from mmer_ray.models.mmer import checkpoint as mmer
from mmer_ray.models.mmer_v1.config import MmerV1Config
from mmer_ray.models.mmer_v1.model import MmerV1Model

UNUSED_BLOCK = "self_attention.layer."
"""A block that the first version builds, trains by nothing and never runs."""


save = folders.save_model


def load(folder: Path) -> LoadedModel:
    """Read a checkpoint folder: float32, evaluation mode."""
    return folders.load_model(folder, MmerV1Model, MmerV1Config)


def our_weights(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Translate a published state dict: its names lack the prefix of the final version, whose names ours follow."""
    ours = {}
    for name, value in published.items():
        bare = name.removeprefix("module.")
        if not bare.startswith(UNUSED_BLOCK):
            bare = bare.replace("classifier.", "classifier.linear3.", 1) if bare.startswith("classifier.") else bare
            ours[mmer.our_name(f"model_mmi.{bare}")] = value
    return ours
