"""Emotion models that were trained here and passed their gate, by name. No torch.

A registry is a folder of plain files, `MMER_REGISTRY`, else `$XDG_DATA_HOME/mmer_ray/registry`:

    gate.toml                 what a model must reach (`training/registry/gate.py`); may be absent
    active.json               which model later ones are measured against
    models/NAME/entry.json    all that is known of a model; its digest is read here
    models/NAME/model/        its checkpoint folder

`training/registry/` writes it. A model's folder appears whole or not at all and never changes afterwards.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import NamedTuple

from mmer_ray.errors import PreflightError

REGISTRY_VARIABLE = "MMER_REGISTRY"
MODELS, ENTRY_NAME, MODEL = "models", "entry.json", "model"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
"""What a registered model may be called: one folder's name, safe on every file system."""


class RegisteredFiles(NamedTuple):
    """Where a registered model lies and what it must be."""

    folder: Path
    """Its checkpoint folder."""
    sha256: str
    """As `ResolvedModel.sha256`, when it was registered."""


def registry_folder() -> Path:
    """Where the registry lies, whether or not it is there. Raises `PreflightError` for a user without a home."""
    try:
        if given := os.environ.get(REGISTRY_VARIABLE):
            return Path(given).expanduser().absolute()
        # The specification of XDG wants a relative folder ignored.
        base = Path(os.environ.get("XDG_DATA_HOME", ""))
        return (base if base.is_absolute() else Path.home() / ".local" / "share") / "mmer_ray" / "registry"
    except RuntimeError as exc:
        raise PreflightError(f"this user has no home folder: set {REGISTRY_VARIABLE} to a folder for models") from exc


def registered_files(name: str) -> RegisteredFiles | None:
    """A registered model by its name; None where none is called so.

    Raises `PreflightError` where its entry cannot be read.
    """
    if not NAME.fullmatch(name):
        return None
    entry = registry_folder() / MODELS / name / ENTRY_NAME
    try:
        sha256 = json.loads(entry.read_text(encoding="utf-8"))["sha256"]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise PreflightError(f"{entry} is no entry of a registry ({exc}): restore it, or remove its folder") from exc
    return RegisteredFiles(entry.parent / MODEL, str(sha256))
