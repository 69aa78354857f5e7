"""Whisper's encoder out of a model of the transformers library: its names of tensors are known here alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmer_ray.models.whisper_encoder.config import WhisperEncoderConfig
from mmer_ray.models.whisper_encoder.model import WhisperEncoder

PREFIX = "encoder."
_OF_LAYER = {
    "attention_norm": "self_attn_layer_norm",
    "output": "self_attn.out_proj",
    "feed_forward_norm": "final_layer_norm",
    "expand": "fc1",
    "contract": "fc2",
}
"""Our part -> the library's."""


def convert(whisper: Any) -> WhisperEncoder:
    """Take the encoder of a `WhisperModel`: float32, evaluation mode."""
    sizes = whisper.config
    encoder = WhisperEncoder(
        WhisperEncoderConfig(
            num_mels=sizes.num_mel_bins,
            hidden_size=sizes.d_model,
            num_layers=sizes.encoder_layers,
            num_heads=sizes.encoder_attention_heads,
            max_frames=sizes.max_source_positions,
        )
    )
    tensors = whisper.state_dict()
    theirs = {name.removeprefix(PREFIX): value for name, value in tensors.items() if name.startswith(PREFIX)}
    encoder.load_state_dict(_renamed(theirs, sizes.encoder_layers))
    return encoder.eval()


def _renamed(theirs: Mapping[str, Tensor], num_layers: int) -> dict[str, Tensor]:
    parts = {"conv1": "conv1", "conv2": "conv2", "norm": "layer_norm"}
    ours = {"positions": theirs["embed_positions.weight"]}
    for number in range(num_layers):
        parts |= {f"layers.{number}.{part}": f"layers.{number}.{name}" for part, name in _OF_LAYER.items()}
        query, key, value = (f"layers.{number}.self_attn.{one}_proj" for one in "qkv")
        # Whisper's keys have no bias: it would add the same to all scores of a query.
        biases = [theirs[f"{query}.bias"], torch.zeros_like(theirs[f"{query}.bias"]), theirs[f"{value}.bias"]]
        joined = f"layers.{number}.query_key_value"
        ours[f"{joined}.weight"] = torch.cat([theirs[f"{part}.weight"] for part in (query, key, value)])
        ours[f"{joined}.bias"] = torch.cat(biases)
    for part, name in parts.items():
        ours |= {f"{part}.{kind}": theirs[f"{name}.{kind}"] for kind in ("weight", "bias")}
    return {name: value.float() for name, value in ours.items()}
