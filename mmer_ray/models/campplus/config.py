"""The sizes of CAM++."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CampplusConfig:
    """Everything that fixes the shape of a `CampplusModel`. The defaults are those of the published model."""

    num_mels: int = 80
    head_channels: int = 32
    """Channels of the two-dimensional convolutions before the time delay layers."""
    head_blocks: tuple[int, ...] = (2, 2)
    """Residual blocks of each stage of the head; every stage halves the frequency axis, and so does its last layer."""
    channels: int = 128
    """Channels after the first time delay layer, which halves time."""
    stage_layers: tuple[int, ...] = (12, 24, 16)
    """Dense layers of each stage."""
    stage_dilations: tuple[int, ...] = (1, 2, 2)
    growth: int = 32
    """Channels that a dense layer adds."""
    bottleneck: int = 128
    kernel: int = 3
    context_reduction: int = 2
    context_frames: int = 100
    """Frames of a segment whose mean is its local context."""
    embedding_size: int = 192
