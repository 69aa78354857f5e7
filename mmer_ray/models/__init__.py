"""The model families: one folder each, the same file names in every folder."""

from mmer_ray.models.torchaudio_guard import make_torchaudio_importable

# transformers and whisperx import torchaudio at once: every importer of a model needs this first.
make_torchaudio_importable()
