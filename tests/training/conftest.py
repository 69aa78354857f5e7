"""Tests here import transformers themselves: torchaudio must be importable first."""

from mmer_ray.models.torchaudio_guard import make_torchaudio_importable

make_torchaudio_importable()
