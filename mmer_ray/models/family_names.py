"""The names of the emotion families, and how a checkpoint tells its own. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmer_ray.models.audio_classification.config import ARCHITECTURES
from mmer_ray.models.audio_classification.config import FAMILY as AUDIO_CLASSIFICATION

FAMILIES = (
    "mmer",
    "mmer_v1",
    "bridge_tokens",
    "leaf_transformer",
    "late_fusion",
    "frozen_encoder",
    AUDIO_CLASSIFICATION,
)
NEED_TEXT = frozenset({"mmer", "mmer_v1", "bridge_tokens", "leaf_transformer"})
"""Families that cannot answer without a transcript; `late_fusion` can, from its speech branch alone."""
READ_VARIATIONS = frozenset({"mmer", "late_fusion", "frozen_encoder"})
"""Families whose loss reads the augmented view of an utterance beside the clean one."""


def family_of(config: Mapping[str, Any]) -> str | None:
    """The family that a checkpoint's `config.json` names, or that its class of the transformers library means."""
    foreign = any(str(name).endswith(ARCHITECTURES) for name in config.get("architectures") or ())
    family: str | None = config.get("family", AUDIO_CLASSIFICATION if foreign else None)
    return family
