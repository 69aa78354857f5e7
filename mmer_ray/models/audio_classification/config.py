"""What the labels of foreign classifiers are called here, and a size for tests.

Checkpoints of this family are folders of the transformers library: their `config.json` is not ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FAMILY = "audio_classification"
ARCHITECTURES = ("ForSequenceClassification", "ForAudioClassification")
"""Ends of the class names, under `architectures` in `config.json`, by which such a folder is known."""

_SPELLINGS = {
    "angry": ("ang", "anger"),
    "happy": ("hap", "happiness", "joy", "joyful", "exc", "excited", "excitement"),
    # Calm is a class of RAVDESS alone, acted as neutral with less strain.
    "neutral": ("neu", "calm"),
    "sad": ("sadness",),
    "fear": ("fea", "fearful"),
    "disgust": ("dis", "disgusted"),
    "surprise": ("sur", "surprised"),
}
_CLASS_OF = {spelling: name for name, spellings in _SPELLINGS.items() for spelling in spellings}


@dataclass(frozen=True)
class AudioClassificationConfig:
    """A classifier of raw speech with fresh weights; every other kind comes with a checkpoint."""

    network: Mapping[str, Any]
    """Of `encoders.build_audio_classifier`; `id2label` holds the class names."""
    extractor: Mapping[str, Any] = field(default_factory=dict)
    """Of `encoders.build_feature_extractor`."""


TINY = AudioClassificationConfig(
    network={
        "model_type": "wav2vec2",
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "conv_dim": [16, 16, 16, 16, 16, 16, 16],
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
        "classifier_proj_size": 16,
        "apply_spec_augment": False,
        "layerdrop": 0.0,
        "id2label": {0: "angry", 1: "happy", 2: "neutral", 3: "sad"},
    },
)
"""For tests."""

SIZES: Mapping[str, AudioClassificationConfig] = {"tiny": TINY}


def class_name(label: str) -> str:
    """Return the name that a checkpoint's label has here; one that is unknown keeps its own, in lower case."""
    plain = label.strip().lower()
    return _CLASS_OF.get(plain, plain)
