"""Sizes of `frozen_encoder` as named, complete, frozen values. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mmer_ray.errors import UsageError
from mmer_ray.models.whisper_encoder.config import WhisperEncoderConfig

FAMILY = "frozen_encoder"
LABELS = ("neutral", "happy", "sad", "angry")


@dataclass(frozen=True)
class FrozenEncoderConfig:
    """Everything that a `frozen_encoder` checkpoint needs to be built again."""

    encoder: Mapping[str, Any] = field(default_factory=lambda: asdict(WhisperEncoderConfig()))
    """Fields of `WhisperEncoderConfig`."""
    encoder_name: str | None = None
    """A Whisper, named as in a profile, with `#sha256=` and its digest: the checkpoint leaves its weights out. None:
    the encoder's weights lie in the checkpoint."""
    text: Mapping[str, Any] | None = None
    """Of `encoders.build_text_encoder`; None: the answer hangs on the sound alone."""
    text_name: str | None = None
    """A text encoder, named as in a profile (`minilm`), with `#sha256=` and its digest: it is frozen, and the
    checkpoint leaves its weights and its tokenizer out."""
    labels: tuple[str, ...] = LABELS
    layers: tuple[int, ...] = (1, 2, 3)
    """Layers of the encoder that are mixed, counted from 1; 0 is what the convolutions give."""
    attention_size: int = 32
    """Width of the pooling's attention; 0: every frame counts alike."""
    pools_deviation: bool = True
    """Whether the frames' standard deviations are pooled beside their means."""
    hidden_size: int = 64
    """Width of the head's hidden layer; 0: there is none."""
    dropout: float = 0.4
    adapts_to_speaker: bool = False
    """Whether the mean over a speaker's other utterances in the recording is taken from each of theirs."""
    relevance: float = 2.0
    """How many utterances the mean over everybody counts for in the mean over a speaker."""
    temperature: float = 1.0
    """Divides the logits, so that probabilities are as often right as they say."""
    min_confidence: float = 0.0
    """An answer whose best probability lies below is withheld."""

    def __post_init__(self) -> None:
        if not self.layers or not 0 <= min(self.layers) <= max(self.layers) <= self.whisper.num_layers:
            raise UsageError(f"layers are {self.layers}; the encoder's are 0..{self.whisper.num_layers}")
        if self.relevance <= 0 or self.temperature <= 0:
            raise UsageError("relevance and temperature must be above 0")

    @property
    def vector_size(self) -> int:
        """Size of an utterance's vector before the text's part."""
        return self.whisper.hidden_size * (2 if self.pools_deviation else 1)

    @property
    def whisper(self) -> WhisperEncoderConfig:
        """The sizes of the encoder."""
        return WhisperEncoderConfig(**self.encoder)


TINY = FrozenEncoderConfig(
    encoder=asdict(WhisperEncoderConfig(num_mels=20, hidden_size=32, num_layers=2, num_heads=4)),
    layers=(1, 2),
    attention_size=8,
    hidden_size=32,
)
"""For tests."""

SIZES: Mapping[str, FrozenEncoderConfig] = {
    "tiny": TINY,
    "whisper-tiny": FrozenEncoderConfig(),
    "whisper-base": FrozenEncoderConfig(
        encoder=asdict(WhisperEncoderConfig(hidden_size=512, num_layers=6, num_heads=8)), layers=(2, 3, 4)
    ),
}
