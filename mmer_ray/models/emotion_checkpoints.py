"""What an emotion model's folder says of itself: its family, and whether it can read text. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmer_ray.errors import PreflightError
from mmer_ray.models.encoder_names import KINDS_OF_NAMES, TEXT_NAME, NamedEncoder, resolve_encoder
from mmer_ray.models.family_names import FAMILIES, NEED_TEXT, family_of
from mmer_ray.models.layout import CONFIG_NAME, matches
from mmer_ray.models.resolver import ResolvedModel

TOKENIZER_FILES = ("tokenizer.json", "vocab*", "*.model")
"""A tokenizer in one file, or the vocabulary that one is made from."""
SCORER_DIGITS = 8


def check_emotion_model(folder: Path) -> None:
    """Raise `PreflightError` for a checkpoint of no known family, or without an encoder that it needs."""
    family = family_in(folder)
    config = read_json_config(folder)
    if "family" not in config:
        # A folder of the transformers library, which has no text.
        return
    named_encoders(folder)
    has_text = config.get("text") is not None
    if family in NEED_TEXT and not has_text:
        remedy = "give one that has; a published MMER: import it again with --text ROBERTA"
        raise PreflightError(f"the {family} in {folder} has no text encoder: {remedy}")
    if (
        has_text
        and config.get(TEXT_NAME) is None
        and not any(matches(file, TOKENIZER_FILES) for file in folder.iterdir())
    ):
        raise PreflightError(
            f"the {family} in {folder} reads text and has no tokenizer (tokenizer.json): copy the model again, whole"
        )


def named_encoders(folder: Path) -> dict[str, NamedEncoder]:
    """Find the encoders that a checkpoint names instead of holding their weights: key of its `config.json` -> encoder.

    Raises `PreflightError` where one is not on this machine, or is another than the checkpoint was trained on.
    """
    config = read_json_config(folder)
    names = {key: config.get(key) for key in KINDS_OF_NAMES}
    return {key: resolve_encoder(str(name), key) for key, name in names.items() if name is not None}


def scorer_name(model: ResolvedModel) -> str:
    """Name a model by its family and its bytes: `Emotion.scorer`. Raises `PreflightError` where it is none."""
    return f"{family_in(model.path)}-{model.digest[:SCORER_DIGITS]}"


def family_in(folder: Path) -> str:
    """The family of the checkpoint in a folder. Raises `PreflightError` where it is none that is known."""
    family = family_of(read_json_config(folder))
    if family not in FAMILIES:
        raise PreflightError(f"{folder} holds a model of family {family!r}; families: {', '.join(FAMILIES)}")
    return family


def read_json_config(folder: Path) -> Mapping[str, Any]:
    """Read a checkpoint's `config.json`. Raises `PreflightError` where it is missing or no table of JSON."""
    try:
        config = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise PreflightError(f"{folder} holds no model: {CONFIG_NAME} cannot be read ({exc})") from exc
    if not isinstance(config, dict):
        raise PreflightError(f"{folder} holds no model: {CONFIG_NAME} is no table of keys")
    return config
