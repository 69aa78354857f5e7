"""Whisper's encoder out of a CTranslate2 folder: its names of tensors are known here alone."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from mmer_ray.errors import PreflightError
from mmer_ray.models.ctranslate2_file import CTranslate2File, read_file
from mmer_ray.models.tensors import fill
from mmer_ray.models.whisper_encoder.config import WhisperEncoderConfig
from mmer_ray.models.whisper_encoder.model import WhisperEncoder

FILE_NAME = "model.bin"
SPECIFICATION = "WhisperSpec"
POSITIONS = "encoder/position_encodings/encodings"
_OUTER = {"conv1": "conv1", "conv2": "conv2", "norm": "layer_norm"}
_OF_LAYER = {
    "attention_norm": "self_attention/layer_norm",
    "query_key_value": "self_attention/linear_0",
    "output": "self_attention/linear_1",
    "feed_forward_norm": "ffn/layer_norm",
    "expand": "ffn/linear_0",
    "contract": "ffn/linear_1",
}
"""Our part -> the file's."""


def load(folder: Path) -> WhisperEncoder:
    """Read the encoder of a Whisper in CTranslate2's format: float32, evaluation mode.

    Raises `PreflightError` where the folder holds none.
    """
    path = folder / FILE_NAME
    file = read_file(path)
    if file.name != SPECIFICATION:
        raise PreflightError(f"{path} holds a {file.name}, no Whisper: name a Whisper converted to CTranslate2")
    try:
        encoder = WhisperEncoder(config_of(file))
        weights = _weights(file, encoder.config.num_layers)
    except KeyError as exc:
        raise PreflightError(f"{path} lacks the tensor {exc}: bring the model again, whole") from exc
    fill(encoder, weights, path)
    return encoder.eval()


def config_of(file: CTranslate2File) -> WhisperEncoderConfig:
    """Read the encoder's sizes off its tensors. Raises `KeyError` where one is missing."""
    max_frames, hidden_size = file.tensors[POSITIONS].shape
    layers = {name.split("/")[1] for name in file.tensors if name.startswith("encoder/layer_")} - {"layer_norm"}
    return WhisperEncoderConfig(
        num_mels=file.tensors["encoder/conv1/weight"].shape[1],
        hidden_size=hidden_size,
        num_layers=len(layers),
        num_heads=int(file.tensors["encoder/num_heads"]),
        max_frames=max_frames,
    )


def _weights(file: CTranslate2File, num_layers: int) -> dict[str, Tensor]:
    """The encoder's tensors under our names, dequantised."""
    parts = dict(_OUTER)
    for number in range(num_layers):
        parts |= {f"layers.{number}.{ours}": f"layer_{number}/{theirs}" for ours, theirs in _OF_LAYER.items()}
    weights = {"positions": torch.from_numpy(file.float32(POSITIONS))}
    for ours, theirs in parts.items():
        names = ("gamma", "beta") if theirs.endswith("layer_norm") else ("weight", "bias")
        for kind, name in zip(("weight", "bias"), names, strict=True):
            weights[f"{ours}.{kind}"] = torch.from_numpy(file.float32(f"encoder/{theirs}/{name}"))
    return weights
