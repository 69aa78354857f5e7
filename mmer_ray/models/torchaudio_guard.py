"""Makes torchaudio importable beside a CPU build of torch.

The registry's torchaudio is linked against CUDA and raises OSError on import where torch is a CPU build; transformers
and whisperx import it though they use its pure-torch parts alone. A stand-in for its compiled extension is enough.
"""

from __future__ import annotations

import importlib.util
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

EXTENSION_NAME = "torchaudio._extension"


def make_torchaudio_importable() -> None:
    """Stand in for torchaudio's compiled extension if it cannot load here; does nothing on a CUDA torch."""
    missing = importlib.util.find_spec("torchaudio") is None
    if missing or "torchaudio" in sys.modules or _cuda_of_torch() is not None:
        return
    stand_in: Any = ModuleType(EXTENSION_NAME)
    stand_in._IS_TORCHAUDIO_EXT_AVAILABLE = False
    stand_in._IS_ALIGN_AVAILABLE = False
    stand_in._check_cuda_version = lambda: None
    stand_in.fail_if_no_align = _refuse_when_called
    sys.modules[EXTENSION_NAME] = stand_in


def _cuda_of_torch() -> str | None:
    """Read the CUDA version that torch was built for, without the seconds that importing it takes."""
    spec = importlib.util.find_spec("torch")
    assert spec is not None, "torch is a dependency"
    assert spec.submodule_search_locations
    version: str | None = runpy.run_path(str(Path(spec.submodule_search_locations[0]) / "version.py"))["cuda"]
    return version


def _refuse_when_called(_function: Callable[..., Any]) -> Callable[..., Any]:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("torchaudio's compiled forced alignment is not available beside a CPU build of torch")

    return refuse
