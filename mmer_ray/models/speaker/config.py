"""The sizes of the speaker model."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class SpeakerConfig:
    """Everything that fixes the shape of a `SpeakerModel`."""

    num_mels: int = 64
    channels: tuple[int, ...] = (16, 32, 64, 96)
    """Channels of each stage; the stem and every stage but the first halve time and frequency."""
    blocks_per_stage: int = 1
    embedding_size: int = 128


_EMBEDDED = SpeakerConfig()
SIZES: dict[str, SpeakerConfig] = {
    "test": replace(_EMBEDDED, channels=(4, 8), embedding_size=16),
    "tiny": _EMBEDDED,
}
"""`tiny` is the embedded model, `test` a random one for quick tests."""
