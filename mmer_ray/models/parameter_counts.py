"""Counts the parameters of a model, part by part.

Models are built on PyTorch's meta device, which has shapes and no memory, so the published sizes cost nothing.
"""

from __future__ import annotations

from collections import Counter

import torch

from mmer_ray.models import families
from mmer_ray.models.facts import SOURCES, ModelFacts
from mmer_ray.models.family_names import FAMILIES
from mmer_ray.models.interface import EmotionModel


def count_size(family: str, size: str) -> ModelFacts:
    """Count a family at a size. Raises `UsageError` for an unknown one."""
    with torch.device("meta"):
        model = families.build(family, size)
    return facts_of(model, size)


def count_all() -> list[ModelFacts]:
    """Count every family at every size: what `facts.json` holds."""
    return [count_size(family, size) for family in FAMILIES for size in families.sizes(family)]


def facts_of(model: EmotionModel, size: str) -> ModelFacts:
    """Count a model that exists."""
    parts: Counter[str] = Counter()
    trainable = 0
    for name, parameter in model.named_parameters():
        noted = (part for part in model.noted_parts if name.startswith(f"{part}."))
        part = next(noted, name.partition(".")[0])
        parts[part] += parameter.numel()
        if parameter.requires_grad and part != model.text_encoder_part:
            trainable += parameter.numel()
    return ModelFacts(
        family=model.family,
        size=size,
        source=SOURCES[model.family],
        labels=model.labels,
        parameters=parts.total() - parts[model.text_encoder_part],
        trainable=trainable,
        text_encoder=parts[model.text_encoder_part],
        parts={part: num for part, num in parts.items() if num},
        min_samples=model.min_samples,
        reads_dialogue=model.reads_dialogue,
    )
