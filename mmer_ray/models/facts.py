"""What there is to know of a model before any weight is loaded: parameters, parts, classes.

Models are built on PyTorch's meta device, which has shapes and no memory, so the published sizes cost nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch

from mmer_ray.models import families
from mmer_ray.models.interface import EmotionModel

SOURCES = {
    "mmer": "Ghosh et al., MMER, Interspeech 2023, arXiv 2203.16794 v5",
    "mmer_v1": "Srivastava, Ghosh and Umesh, arXiv 2203.16794 v1, 2022",
    "bridge_tokens": "Ispas, Deschamps-Berger and Devillers, ICMI 2023 companion, arXiv 2401.00536",
    "leaf_transformer": "Dutta and Ganapathy, ICASSP 2022",
    "late_fusion": "Padi et al., Odyssey 2022, arXiv 2202.08974, and ICMI 2021, arXiv 2108.02510",
    "audio_classification": "any audio-classification checkpoint of the transformers library",
}
"""Family -> where it comes from."""


@dataclass(frozen=True)
class ModelFacts:
    """One family at one size. Parameters are counted without the text encoder, which has a figure of its own."""

    family: str
    size: str
    source: str
    labels: tuple[str, ...]
    parameters: int
    trainable: int
    text_encoder: int
    """Parameters of the text encoder; 0 where the text comes as features."""
    parts: dict[str, int]
    """Name of a part -> its parameters; those of the text encoder are not among the totals."""
    min_samples: int
    """The fewest samples at 16 kHz that can be judged."""
    reads_dialogue: bool


def describe(family: str, size: str) -> ModelFacts:
    """Count a family at a size. Raises `UsageError` for an unknown one."""
    with torch.device("meta"):
        model = families.build(family, size)
    return facts_of(model, size)


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
