"""Sizes of Whisper's encoder. No torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WhisperEncoderConfig:
    """What an encoder's tensors look like; the defaults are those of tiny and tiny.en."""

    num_mels: int = 80
    hidden_size: int = 384
    num_layers: int = 4
    num_heads: int = 6
    max_frames: int = 1_500
    """Longest input: 30 s, one frame every 20 ms."""
