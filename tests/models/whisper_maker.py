"""A tiny Whisper with random weights, in the folder that CTranslate2's own converter writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from ctranslate2.specs import whisper_spec

from mmer_ray.models.whisper_encoder.config import WhisperEncoderConfig

TINY = WhisperEncoderConfig(num_mels=80, hidden_size=32, num_layers=2, num_heads=4)
VOCABULARY = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>", "a", "b", "c"]


def random_spec(seed: int = 0) -> whisper_spec.WhisperSpec:
    """A specification filled with random numbers of shapes that fit."""
    rng = np.random.default_rng(seed)
    size, wide = TINY.hidden_size, 4 * TINY.hidden_size
    spec = whisper_spec.WhisperSpec(TINY.num_layers, TINY.num_heads, 1, TINY.num_heads)
    spec.register_vocabulary(list(VOCABULARY))

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.2, shape).astype(np.float32)

    def fill_linear(linear: object, outputs: int, inputs: int) -> None:
        linear.weight, linear.bias = draw(outputs, inputs), draw(outputs)  # type: ignore[attr-defined]

    def fill_norm(norm: object) -> None:
        norm.gamma, norm.beta = 1 + draw(size), draw(size)  # type: ignore[attr-defined]

    def fill_attention(attention: object, widths: list[int]) -> None:
        fill_norm(attention.layer_norm)  # type: ignore[attr-defined]
        for linear, outputs in zip(attention.linear, widths, strict=True):  # type: ignore[attr-defined]
            fill_linear(linear, outputs, size)

    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = draw(size, TINY.num_mels, 3), draw(size)
    encoder.conv2.weight, encoder.conv2.bias = draw(size, size, 3), draw(size)
    encoder.position_encodings.encodings = draw(TINY.max_frames, size)
    decoder.embeddings.weight = draw(len(VOCABULARY), size)
    decoder.position_encodings.encodings = draw(448, size)
    decoder.projection.weight = decoder.embeddings.weight
    decoder.scale_embeddings = False
    for stack in (encoder, decoder):
        fill_norm(stack.layer_norm)
        for layer in stack.layer:
            fill_attention(layer.self_attention, [3 * size, size])
            if stack is decoder:
                fill_attention(layer.attention, [size, 2 * size, size])
            fill_norm(layer.ffn.layer_norm)
            fill_linear(layer.ffn.linear_0, wide, size)
            fill_linear(layer.ffn.linear_1, size, wide)
    spec.validate()
    return spec


def whisper_folder(folder: Path, seed: int = 0, quantization: str | None = None) -> Path:
    """Write a folder that counts as a whole Whisper; its tokenizer is none."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = random_spec(seed)
    spec.optimize(quantization=quantization)
    spec.save(str(folder))
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "vocabulary.json").write_text(json.dumps(VOCABULARY))
    return folder
