"""The embedded transcriber: a small wav2vec2 with a CTC head over characters."""

from mmer_ray.models.ctc.checkpoint import digest, load, save
from mmer_ray.models.ctc.config import SIZES, CtcConfig
from mmer_ray.models.ctc.losses import ctc_loss
from mmer_ray.models.ctc.model import CtcModel

__all__ = ["SIZES", "CtcConfig", "CtcModel", "ctc_loss", "digest", "load", "save"]
