"""Tests that import transformers directly need torchaudio made importable first."""

import mmer_ray.models  # noqa: F401
