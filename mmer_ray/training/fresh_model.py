"""Models to be trained: fresh weights, on pretrained encoders where they are named, for the classes of a corpus."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from mmer_ray.errors import UsageError
from mmer_ray.models import families
from mmer_ray.models.audio_classification.config import FAMILY as AUDIO_CLASSIFICATION
from mmer_ray.models.frozen_encoder.config import FAMILY as FROZEN_ENCODER
from mmer_ray.models.interface import LoadedModel
from mmer_ray.models.named_parts import named_tokenizer, on_pretrained
from mmer_ray.training.embedded_text import train_tokenizer
from mmer_ray.training.emotion_recipes import DEFAULT_ENCODER

ON_WHISPER = "whisper-tiny"
"""The size that is made to stand on a pretrained Whisper, as small as `DEFAULT_ENCODER` unless one is named."""
DEFAULT_TEXT = "minilm"


@dataclass(frozen=True)
class Architecture:
    """What is built."""

    family: str
    size: str = "tiny"
    encoder: str | None = None
    """A pretrained Whisper under the model, as a profile names it; None: fresh weights, but for sizes that stand on
    one, which then get `DEFAULT_ENCODER`."""
    text_encoder: str | None = None
    """The same of the text encoder, with `DEFAULT_TEXT`."""

    def __post_init__(self) -> None:
        if self.family == AUDIO_CLASSIFICATION:
            raise UsageError(f"{AUDIO_CLASSIFICATION} adapts checkpoints of others and has nothing of its own to train")
        config = families.config_of(self.family, self.size)
        if self.family == FROZEN_ENCODER and self.size == "whisper-base":
            raise UsageError(f"the encoder sets the size of {FROZEN_ENCODER}: leave --size out and name --encoder")
        for name, option, field in (
            (self.encoder, "--encoder", "encoder_name"),
            (self.text_encoder, "--text-encoder", "text_name"),
        ):
            if name is not None and not hasattr(config, field):
                raise UsageError(f"{self.family} does not stand on a pretrained encoder: leave {option} out")

    def __str__(self) -> str:
        """As reports name it: family, size, and the encoders that were named."""
        named = " and ".join(name for name in (self.encoder, self.text_encoder) if name is not None)
        # A head is as large as its encoder is wide.
        own = self.family if self.is_head and named else f"{self.family} {self.size}"
        return f"{own} on {named}" if named else own

    @property
    def is_head(self) -> bool:
        """Whether it is a head on features that never change, which `head_fold` trains."""
        return self.family == FROZEN_ENCODER and self.names[0] is not None

    @property
    def reads_text(self) -> bool:
        """Whether the model is given the words."""
        config = families.config_of(self.family, self.size)
        return self.names[1] is not None or getattr(config, "text", None) is not None

    @property
    def names(self) -> tuple[str | None, str | None]:
        """The encoders that it stands on: of speech, of text."""
        config = families.config_of(self.family, self.size)
        if self.size != ON_WHISPER:
            return self.encoder, self.text_encoder
        return self.encoder or DEFAULT_ENCODER, self.text_encoder or (DEFAULT_TEXT if config.text else None)


def build(architecture: Architecture, labels: tuple[str, ...], texts: Iterable[str], seed: int) -> LoadedModel:
    """Make a model for the classes of a corpus, by a seed, and what turns its texts into tokens.

    A family's own order of the classes stays where the corpus has the same ones. A text encoder with fresh weights
    gets a tokenizer trained on `texts`, the transcripts of the training set. Raises `PreflightError` where a named
    encoder is not on this machine.
    """
    torch.manual_seed(seed)
    config = families.config_of(architecture.family, architecture.size)
    if set(config.labels) != set(labels):
        config = replace(config, labels=labels)
    model_class = families.model_class(architecture.family)
    encoder, text_encoder = architecture.names
    if encoder is None and text_encoder is None:
        model = model_class(config)
    else:
        model = on_pretrained(model_class, config, encoder_name=encoder, text_name=text_encoder)
    if not model.reads_text or getattr(model.config, "text", None) is None:
        return LoadedModel(model, None)
    return LoadedModel(model, named_tokenizer(model) or train_tokenizer(texts, int(model.config.text["vocab_size"])))
