"""The embedded speaker model: a small ResNet that maps speech to a voice's direction."""

from mmer_ray.models.speaker.checkpoint import digest, load, save
from mmer_ray.models.speaker.config import SIZES, SpeakerConfig
from mmer_ray.models.speaker.losses import additive_margin_loss
from mmer_ray.models.speaker.model import SpeakerModel, embed

__all__ = ["SIZES", "SpeakerConfig", "SpeakerModel", "additive_margin_loss", "digest", "embed", "load", "save"]
