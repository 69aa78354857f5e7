"""Which emotion family a checkpoint is of, from its configuration alone. No torch."""

from __future__ import annotations

import json
from pathlib import Path

from mmer_ray.errors import PreflightError
from mmer_ray.models.audio_classification.config import ARCHITECTURES
from mmer_ray.models.audio_classification.config import FAMILY as AUDIO_CLASSIFICATION

FAMILIES = ("mmer", "mmer_v1", "bridge_tokens", "leaf_transformer", "late_fusion", AUDIO_CLASSIFICATION)


def family_of(folder: Path) -> str:
    """Read `config.json`: it names the family, or the library's class of a foreign classifier.

    Raises `PreflightError` where it cannot be read or names no family of ours.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise PreflightError(f"{folder} holds no emotion model: config.json cannot be read ({exc})") from exc
    foreign = any(str(name).endswith(ARCHITECTURES) for name in config.get("architectures") or ())
    family: str | None = config.get("family", AUDIO_CLASSIFICATION if foreign else None)
    if family not in FAMILIES:
        raise PreflightError(f"{folder} holds a model of family {family!r}; families: {', '.join(FAMILIES)}")
    assert family is not None
    return family
