"""The stand-in for torchaudio's compiled part."""

from __future__ import annotations

import subprocess
import sys

import torch

from mmer_ray.models.torchaudio_guard import _cuda_of_torch


def test_torchs_build_is_read_without_importing_torch() -> None:
    assert _cuda_of_torch() == torch.version.cuda
    code = "import sys, mmer_ray.models; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_torchaudio_imports_after_the_package() -> None:
    code = "import mmer_ray.models, torchaudio"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
