"""Sizes of `leaf_transformer` as named, complete, frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

FAMILY = "leaf_transformer"
LABELS = ("happy", "sad", "neutral", "angry")
"""Order of the published classifier (happy includes excited)."""


@dataclass(frozen=True)
class LeafTransformerConfig:
    """Everything that a `leaf_transformer` checkpoint needs to be built again."""

    text: Mapping[str, Any] | None
    """Of `encoders.build_text_encoder`, without the hidden size; None: batches bring text features."""
    text_layer_size: int = 768
    """Hidden size of the text encoder."""
    num_text_layers: int = 4
    """The last hidden layers that are laid side by side, the last one first: text features have this many times the
    hidden size."""
    stride: int = 480
    """Samples between two frames of the front-end: 30 ms in the paper, 10 ms in its code."""
    energy_step: int = 1
    """Samples between two that the front-end squares and pools: all of them as published."""
    channels: tuple[int, ...] = (32, 32, 64, 64, 128, 100)
    """Of the six convolutions; the last number is the width of an utterance's audio embedding."""
    text_hidden_size: int = 100
    """Of the GRU over tokens, per direction: half the width of an utterance's text embedding."""
    context_hidden_size: int = 100
    """Of the GRUs over the utterances of a dialogue, per direction."""
    fusion_size: int = 120
    """Width of the multimodal transformer."""
    num_fusion_layers: int = 3
    num_fusion_heads: int = 12
    fusion_intermediate_size: int = 3_072
    dropout: float = 0.2
    """Of text embeddings and around the multimodal transformer."""
    fusion_dropout: float = 0.1
    """Inside the multimodal transformer."""
    official_attention: bool = False
    """Attention between the utterances of one modality: False as in the paper's equations, True as in its code."""
    labels: tuple[str, ...] = LABELS

    @property
    def text_feature_size(self) -> int:
        return self.num_text_layers * self.text_layer_size


BASE = LeafTransformerConfig(text={"model_type": "bert", "vocab_size": 28_996})
"""As published, with the architecture of bert-base-cased, whose sizes are the defaults of its configuration."""

TINY = LeafTransformerConfig(
    text={
        "model_type": "bert",
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "vocab_size": 300,
        "max_position_embeddings": 130,
        "pad_token_id": 1,
    },
    text_layer_size=32,
    num_text_layers=2,
    stride=160,
    energy_step=4,
    channels=(8, 8, 16, 16, 32, 32),
    text_hidden_size=16,
    context_hidden_size=16,
    fusion_size=24,
    num_fusion_layers=1,
    num_fusion_heads=4,
    fusion_intermediate_size=64,
)
"""For tests and two cores; the front-end has the published filters, and pools every fourth sample of their energies."""

SIZES: Mapping[str, LeafTransformerConfig] = {"tiny": TINY, "base": BASE, "base-features": replace(BASE, text=None)}
