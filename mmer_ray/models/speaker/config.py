"""The sizes of the speaker model."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class SpeakerConfig:
    """Everything that fixes the shape of a `SpeakerModel`."""

    num_mels: int = 64
    channels: tuple[int, ...] = (16, 32, 64, 96)
    """Channels of each stage; every stage but the first halves time and frequency."""
    blocks_per_stage: int | tuple[int, ...] = 1
    """Residual blocks of every stage, or of each."""
    embedding_size: int = 128
    stem_stride: int = 2
    """Step of the first convolution in time and frequency."""
    shortcut_norm: bool = False
    """Batch-normalise the 1x1 convolution around a block whose shape changes."""
    variance_floor: float = 1e-5
    """Added to the variance over time before its square root."""
    centre_bands: bool = False
    """Subtract each band's mean over the utterance from the features."""

    @property
    def blocks_of_stage(self) -> tuple[int, ...]:
        """Residual blocks of each stage. Raises `ValueError` where they are not as many as the stages."""
        blocks = self.blocks_per_stage
        each = (blocks,) * len(self.channels) if isinstance(blocks, int) else blocks
        if len(each) != len(self.channels):
            raise ValueError(f"{len(self.channels)} stages have channels, {len(each)} have blocks: {self}")
        return each

    @property
    def num_pooled_bands(self) -> int:
        """Frequency bands that are left after the last stage."""
        num_bands = -(-self.num_mels // self.stem_stride)
        for _ in self.channels[1:]:
            num_bands = -(-num_bands // 2)
        return num_bands


_EMBEDDED = SpeakerConfig()
SIZES: dict[str, SpeakerConfig] = {
    "test": replace(_EMBEDDED, channels=(4, 8), embedding_size=16),
    "tiny": _EMBEDDED,
    "resnet34": SpeakerConfig(
        num_mels=80,
        channels=(32, 64, 128, 256),
        blocks_per_stage=(3, 4, 6, 3),
        embedding_size=256,
        stem_stride=1,
        shortcut_norm=True,
        variance_floor=1e-7,
        centre_bands=True,
    ),
}
"""`tiny` is the embedded model, `test` a random one for quick tests, `resnet34` the layers of wespeaker's VoxCeleb
recipe: the same network, except that its statistics take the population variance, which one frame has too."""
