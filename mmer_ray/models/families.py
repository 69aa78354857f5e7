"""The emotion families by name, and the one way to load a checkpoint folder of any of them."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

from mmer_ray.errors import PreflightError
from mmer_ray.models.interface import LoadedModel

FAMILIES = ("mmer",)
"""Sub-packages of `mmer_ray.models`, each with `checkpoint.load(folder)`."""


def load_emotion_model(folder: Path) -> LoadedModel:
    """Load the checkpoint in a folder; its `config.json` names the family."""
    try:
        family = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("family")
    except (OSError, ValueError) as exc:
        raise PreflightError(f"{folder} holds no emotion model: config.json cannot be read ({exc})") from exc
    if family not in FAMILIES:
        raise PreflightError(f"{folder} holds a model of family {family!r}; families: {', '.join(FAMILIES)}")
    loaded: LoadedModel = import_module(f"mmer_ray.models.{family}.checkpoint").load(folder)
    return loaded
