"""Sizes of the catalogue's encoders, as configurations of families take them. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mmer_ray.models.whisper_encoder.config import WhisperEncoderConfig

WHISPER_TINY: Mapping[str, Any] = {"model_type": "whisper", **asdict(WhisperEncoderConfig()), "output_layer": 2}
"""`tiny.en`, for `encoders.build_audio_encoder`: its second layer, which the best heads of `frozen_encoder` read
(docs/models.md)."""
MINILM: Mapping[str, Any] = {
    "model_type": "bert",
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1_536,
    "vocab_size": 30_522,
    "max_position_embeddings": 512,
}
"""`minilm`, for `encoders.build_text_encoder`: as wide as Whisper tiny."""
