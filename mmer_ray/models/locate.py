"""From a model's name in a profile to the folder that holds it, and the digest of what lies there. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from importlib import resources
from pathlib import Path

from mmer_ray.errors import PreflightError

EMBEDDED = "embedded"
"""The models that come with the package."""
PARTS = ("ctc", "speaker", "mmer")
"""Their folders below `mmer_ray/assets`."""
WEIGHTS_SUFFIX = ".safetensors"
MODEL_SUFFIXES = frozenset({WEIGHTS_SUFFIX, ".json", ".txt", ".onnx", ".bin"})
"""Files that change answers. Notes beside them do not count."""


@dataclass(frozen=True)
class ModelFolder:
    """A model on disk."""

    path: Path
    digest: str
    """16 hex digits over names and bytes of the model's files: equal digests give equal answers."""


def locate(name: str, part: str) -> ModelFolder:
    """Find the model that a profile calls `embedded`, or that lies in the folder of that name.

    `part` is which of the embedded models is meant: `ctc`, `speaker` or `mmer`. Raises `PreflightError` when there
    are no weights.
    """
    assert part in PARTS, part
    if name == EMBEDDED:
        path = Path(str(resources.files("mmer_ray") / "assets" / part))
        remedy = "the package was installed without its assets: install it again, or run jobs/train_embedded.py"
    else:
        path = Path(name).expanduser()
        remedy = f"give {EMBEDDED!r} or a folder with config.json and model.safetensors"
    if not any(file.suffix == WEIGHTS_SUFFIX for file in _model_files(path)):
        raise PreflightError(f"no {part} model in {path}: {remedy}")
    return ModelFolder(path, digest(*_model_files(path)))


def digest(*files: Path) -> str:
    """Hash names and bytes of files: 16 hex digits."""
    total = blake2b(digest_size=8)
    for file in files:
        content = file.read_bytes()
        total.update(f"{file.name} {len(content)}\n".encode())
        total.update(content)
    return total.hexdigest()


def _model_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix in MODEL_SUFFIXES and not file.name.startswith("."))
