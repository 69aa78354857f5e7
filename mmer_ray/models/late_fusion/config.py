"""Sizes of `late_fusion` as named, complete, frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mmer_ray.models.speaker.config import SIZES as SPEAKER_SIZES
from mmer_ray.models.speaker.config import SpeakerConfig

FAMILY = "late_fusion"
LABELS = ("happy", "angry", "neutral", "sad")
"""Happy includes excited."""


@dataclass(frozen=True)
class LateFusionConfig:
    """Everything that a `late_fusion` checkpoint needs to be built again."""

    speech: Mapping[str, Any]
    """Fields of `SpeakerConfig`, sequences as lists, as a file keeps them."""
    text: Mapping[str, Any] | None
    """Of `encoders.build_text_encoder`; None: there is no text branch, and the answer is the speech branch's."""
    labels: tuple[str, ...] = LABELS
    speech_dropout: float = 0.3
    text_dropout: float = 0.1
    num_time_masks: int = 2
    """Stretches of frames that training hides in each utterance."""
    max_mask_frames: int = 40
    max_mask_share: float = 0.2
    """No stretch is longer than this share of its utterance's frames."""
    num_band_masks: int = 2
    """Groups of neighbouring bands that training hides in each utterance."""
    max_mask_band_share: float = 0.125
    """Widest group as a share of all bands: 10 of 80."""

    @property
    def speaker(self) -> SpeakerConfig:
        """The speech branch's network."""
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in self.speech.items()}
        return SpeakerConfig(**fields)


def speech_fields(config: SpeakerConfig) -> dict[str, Any]:
    """Spell a speaker configuration as `LateFusionConfig.speech` does."""
    return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(config).items()}


BASE = LateFusionConfig(
    speech=speech_fields(SPEAKER_SIZES["resnet34"]),
    text={"model_type": "bert", "hidden_size": 768, "vocab_size": 30_522, "max_position_embeddings": 512},
)
"""The sizes of wespeaker's ResNet34 and of bert-base-uncased, whose other sizes are its configuration's defaults."""

TINY = LateFusionConfig(
    speech=speech_fields(SPEAKER_SIZES["tiny"]),
    text={
        "model_type": "bert",
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "vocab_size": 300,
        "max_position_embeddings": 128,
        # Our own small tokenizers count like RoBERTa's: 0 begins a text, 1 pads it.
        "pad_token_id": 1,
    },
)
"""For tests, and for training within minutes on one core. The weights of the embedded speaker network fit."""

SIZES: Mapping[str, LateFusionConfig] = {"tiny": TINY, "base": BASE}
