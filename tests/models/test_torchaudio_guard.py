"""The stand-in for torchaudio's compiled part."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from mmer_ray.models.torchaudio_guard import _cuda_of_torch

GUARDED_IMPORT = """
from mmer_ray.models.torchaudio_guard import make_torchaudio_importable
make_torchaudio_importable()
import torchaudio
"""


def test_torchs_build_is_read_without_importing_torch() -> None:
    assert _cuda_of_torch() == torch.version.cuda
    code = "import sys, mmer_ray.models.torchaudio_guard as guard; guard.make_torchaudio_importable(); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("code", ["import mmer_ray.models.library, torchaudio", GUARDED_IMPORT])
def test_torchaudio_imports_after_the_library_or_the_guard(code: str) -> None:
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_importing_the_models_changes_no_module_of_others() -> None:
    code = "import sys, mmer_ray.models.torchaudio_guard; sys.exit('torchaudio._extension' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
