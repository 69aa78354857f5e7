"""The speaker model: a ResNet that maps speech to a voice's direction; the small one is embedded."""

from mmer_ray.models.speaker.checkpoint import digest, load, save
from mmer_ray.models.speaker.config import SIZES, SpeakerConfig
from mmer_ray.models.speaker.losses import additive_angular_margin_loss, additive_margin_loss
from mmer_ray.models.speaker.model import SpeakerModel, embed

__all__ = [
    "SIZES",
    "SpeakerConfig",
    "SpeakerModel",
    "additive_angular_margin_loss",
    "additive_margin_loss",
    "digest",
    "embed",
    "load",
    "save",
]
