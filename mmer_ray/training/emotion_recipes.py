"""How heads of `frozen_encoder` are trained, by name: a configuration and a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mmer_ray.models.catalogue import CATALOGUE
from mmer_ray.models.frozen_encoder.config import FrozenEncoderConfig
from mmer_ray.models.refs import ModelRef
from mmer_ray.training.frozen_encoder import HeadRecipe

DEFAULT_ENCODER = str(ModelRef("whisper", "tiny.en", sha256=CATALOGUE["tiny.en"].sha256))
"""Whisper tiny.en, with the digest of its weights."""


@dataclass(frozen=True)
class EmotionRecipe:
    """What is built and how it is trained."""

    config: FrozenEncoderConfig
    head: HeadRecipe
    text_name: str | None = None
    """A frozen text encoder beside the speech encoder, as a profile names it."""


ALONE = EmotionRecipe(FrozenEncoderConfig(layers=(2,), attention_size=0, hidden_size=0), HeadRecipe(ridge=1.0))
"""For training and test on one corpus, each clip judged by itself. A few hundred clips are learned by heart by anything
larger: attentive pooling and a hidden layer, trained by steps, did worse on RAVDESS's folds (docs/models.md)."""
ADAPTED = EmotionRecipe(replace(ALONE.config, adapts_to_speaker=True), HeadRecipe(ridge=3.0))
"""The same with speaker adaptation."""
SHIPPED = EmotionRecipe(
    replace(ADAPTED.config, layers=(1,), pools_deviation=False),
    HeadRecipe(ridge=0.3, num_variations=3, calibration="strangers"),
)
"""For speech of other corpora: means alone, of a lower layer, other voices and recording chains beside the clips, and a
temperature that expects strangers. `assets/frozen_encoder/MODEL_CARD.md` says how each was chosen."""
ATTENTIVE = EmotionRecipe(FrozenEncoderConfig(adapts_to_speaker=True), HeadRecipe())
"""Three layers, attentive statistics and a hidden layer, trained by steps: for corpora of thousands of clips."""
WITH_TEXT = replace(ALONE, text_name="minilm")
"""`ALONE` with the words: for corpora whose wording says something, which acted sentences that all share do not."""
RECIPES: Mapping[str, EmotionRecipe] = {
    "alone": ALONE,
    "with_text": WITH_TEXT,
    "adapted": ADAPTED,
    "shipped": SHIPPED,
    "attentive": ATTENTIVE,
}
