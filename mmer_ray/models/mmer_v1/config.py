"""Sizes of `mmer_v1` as named, complete, frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mmer_ray.models.ctc.vocabulary import SYMBOLS
from mmer_ray.models.mmer import config as mmer
from mmer_ray.models.mmer.config import LABELS

FAMILY = "mmer_v1"


@dataclass(frozen=True)
class MmerV1Config:
    """Everything that a `mmer_v1` checkpoint needs to be built again."""

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
    """False is the published behaviour, in which padding is read, pooled and transcribed: for parity alone."""
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


def _same_encoders(size: mmer.MmerConfig) -> MmerV1Config:
    return MmerV1Config(
        size.audio,
        size.text,
        size.num_heads,
        size.intermediate_size,
        freeze_convolutions=size.freeze_convolutions,
    )


BASE = _same_encoders(mmer.BASE)
SIZES: Mapping[str, MmerV1Config] = {
    "tiny": _same_encoders(mmer.TINY),
    "base": BASE,
    "base-features": replace(BASE, text=None),
    "whisper-tiny": _same_encoders(mmer.WHISPER_TINY),
}
"""`base` as published; `base-features` takes the text as features computed beforehand; `whisper-tiny` as of `mmer`."""
