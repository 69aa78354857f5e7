"""Sizes of `mmer` as named, complete, frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mmer_ray.models import pretrained_sizes
from mmer_ray.models.ctc.vocabulary import SYMBOLS
from mmer_ray.models.pretrained_sizes import MINILM

FAMILY = "mmer"
LABELS = ("happy", "angry", "neutral", "sad")
"""Order of the published classifier (happy includes excited)."""


@dataclass(frozen=True)
class MmerConfig:
    """Everything that a `mmer` checkpoint needs to be built again."""

    audio: Mapping[str, Any]
    """Of `encoders.build_audio_encoder`; its `hidden_size` is the width H of the whole model."""
    text: Mapping[str, Any] | None
    """Of `encoders.build_text_encoder`, of the same width; None: batches bring text features."""
    num_heads: int
    """Attention heads of the fusion blocks."""
    intermediate_size: int
    """Inner width of the fusion blocks' feed-forward part."""
    labels: tuple[str, ...] = LABELS
    ctc_symbols: tuple[str, ...] = SYMBOLS
    """Index 0 is the blank."""
    dropout: float = 0.1
    normalise: bool = True
    """Scale each utterance to zero mean and unit variance here; False: batches bring scaled samples."""
    masked: bool = True
    """False is the published backbone, in which padding reaches an utterance's frames: for parity alone."""
    freeze_convolutions: bool = True
    """As published, where they come from pre-training; False trains them too, as training from scratch needs."""
    encoder_name: str | None = None
    """A Whisper, named as in a profile, with `#sha256=` and its digest: it is frozen and the checkpoint leaves its
    weights out. None: the weights lie in the checkpoint."""
    text_name: str | None = None
    """The same of the text encoder."""

    @property
    def hidden_size(self) -> int:
        return int(self.audio["hidden_size"])


BASE = MmerConfig(
    audio={"hidden_size": 768, "apply_spec_augment": False},
    text={"hidden_size": 768, "vocab_size": 50_265, "max_position_embeddings": 514, "type_vocab_size": 1},
    num_heads=12,
    intermediate_size=3_072,
)
"""As published: wav2vec2-base and roberta-base, whose sizes are the defaults of their configurations."""

TINY = MmerConfig(
    audio={
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "conv_dim": [32, 64, 64, 64],
        "conv_kernel": [64, 8, 4, 4],
        "conv_stride": [16, 5, 4, 2],
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
        "apply_spec_augment": False,
        "layerdrop": 0.0,
    },
    text={
        "hidden_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "vocab_size": 300,
        "max_position_embeddings": 130,
        "type_vocab_size": 1,
    },
    num_heads=4,
    intermediate_size=128,
    freeze_convolutions=False,
)
"""For tests and for training from fresh weights on little data: 25 frames a second straight from samples. The embedded
model takes its widths from the `ctc` checkpoint that it starts from."""

WHISPER_TINY = MmerConfig(audio=pretrained_sizes.WHISPER_TINY, text=MINILM, num_heads=6, intermediate_size=1_536)
"""On the encoders that the package brings: `named_parts.on_pretrained` with `tiny.en` and `minilm`."""

SIZES: Mapping[str, MmerConfig] = {
    "tiny": TINY,
    "base": BASE,
    "base-features": replace(BASE, text=None),
    "whisper-tiny": WHISPER_TINY,
}
