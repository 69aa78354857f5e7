"""What stands in an aligner's folder beside its weights. No torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmer_ray.errors import PreflightError

VOCABULARY_NAME = "vocab.json"
PREPROCESSOR_NAME = "preprocessor_config.json"


def read_vocabulary(folder: Path) -> dict[str, int]:
    """Read which symbol each character is, in lower case. Raises `PreflightError` where that cannot be read."""
    table = _read(folder / VOCABULARY_NAME)
    if not table or not all(isinstance(index, int) and index >= 0 for index in table.values()):
        raise PreflightError(
            f"{folder / VOCABULARY_NAME} is no vocabulary of one language: characters with their numbers. Remedies: "
            "name an aligner that was trained for one language"
        )
    return {name.lower(): index for name, index in table.items()}


def read_normalises(folder: Path) -> bool:
    """Whether the model takes samples scaled to zero mean and unit variance; the library's own default is that it does.

    Raises `PreflightError` where the file is there and cannot be read.
    """
    file = folder / PREPROCESSOR_NAME
    return bool(_read(file).get("do_normalize", True)) if file.exists() else True


def _read(file: Path) -> dict[str, Any]:
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise PreflightError(f"{file} cannot be read: {exc}; copy or fetch the model again") from exc
    if not isinstance(table, dict):
        raise PreflightError(f"{file} cannot be read: it holds no table; copy or fetch the model again")
    return table
