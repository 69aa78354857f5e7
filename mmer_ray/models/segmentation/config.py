"""The sizes of the segmentation model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SegmentationConfig:
    """Everything that fixes the shape of a `SegmentationModel`. The defaults are those of segmentation-3.0."""

    num_filters: int = 80
    """Sinc filters: half of them even, half odd."""
    filter_samples: int = 251
    filter_stride: int = 10
    conv_channels: int = 60
    conv_kernel: int = 5
    num_convs: int = 2
    pool: int = 3
    """Kernel and step of the maximum after each of the filters and convolutions."""
    lstm_size: int = 128
    """Per direction."""
    lstm_layers: int = 4
    hidden_size: int = 128
    hidden_layers: int = 2
    num_speakers: int = 3
    """Speakers of one chunk."""
    max_simultaneous: int = 2
    """Speakers of one frame."""
    chunk_s: float = 10.0
    """Length that the weights were trained on."""

    @property
    def frame_samples(self) -> int:
        """Step from frame to frame."""
        return self.filter_stride * int(self.pool ** (1 + self.num_convs))

    @property
    def receptive_samples(self) -> int:
        """Samples that one frame sees before the recurrent layers."""
        width = 1
        for _ in range(self.num_convs):
            width = (width * self.pool) + self.conv_kernel - 1
        return (width * self.pool - 1) * self.filter_stride + self.filter_samples
