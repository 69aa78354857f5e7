"""Are a profile's models there, whole and the right ones? Asked before anything is started. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmer_ray.audio import vad
from mmer_ray.errors import PreflightError
from mmer_ray.models.family_names import FAMILIES, NEED_TEXT, family_of
from mmer_ray.models.layout import CONFIG_NAME, matches
from mmer_ray.models.refs import ModelRef, parse_ref
from mmer_ray.models.resolver import ResolvedModel, resolve
from mmer_ray.profiles import Profile

TOKENIZER_FILES = ("tokenizer.json", "vocab*", "*.model")
"""A tokenizer in one file, or the vocabulary that one is made from."""


def model_refs(profile: Profile) -> dict[str, ModelRef]:
    """What needs a model -> the model: the profile's key, and `vad` for the detector that no key names.

    Raises `UsageError` for a name that cannot be meant, `PreflightError` where the detector is not installed.
    """
    return {
        "vad": ModelRef("vad", str(vad.weights_file())),
        "diarize.model": parse_ref("speaker", profile.diarize.model),
        "transcribe.model": parse_ref("ctc", profile.transcribe.model),
        "emotion.model": parse_ref("emotion", profile.emotion.model),
    }


def preflight_models(profile: Profile) -> list[ResolvedModel]:
    """Resolve every model that a profile needs, in the order of `model_refs`.

    Raises `PreflightError`, naming the model and the remedies, for the first that is missing, not whole, of another
    digest than its name says, or an emotion model that cannot read text though its family does.
    """
    resolved = [resolve(ref) for ref in model_refs(profile).values()]
    for model in resolved:
        if model.ref.kind == "emotion":
            check_emotion_model(model.path)
    return resolved


def check_emotion_model(folder: Path) -> None:
    """Raise `PreflightError` for a checkpoint of no known family, or without the text encoder that it needs."""
    family = family_in(folder)
    config = read_json_config(folder)
    if "family" not in config:
        # A folder of the transformers library, which has no text.
        return
    has_text = config.get("text") is not None
    if family in NEED_TEXT and not has_text:
        remedy = "give one that has; a published MMER: import it again with --text ROBERTA"
        raise PreflightError(f"the {family} in {folder} has no text encoder: {remedy}")
    if has_text and not any(matches(file, TOKENIZER_FILES) for file in folder.iterdir()):
        raise PreflightError(
            f"the {family} in {folder} reads text and has no tokenizer (tokenizer.json): copy the model again, whole"
        )


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
