"""The frozen encoders that an emotion checkpoint names instead of holding their weights. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from mmer_ray.errors import PreflightError
from mmer_ray.models.digests import file_sha256s
from mmer_ray.models.layout import WEIGHTS, counted_files, matches
from mmer_ray.models.refs import parse_ref
from mmer_ray.models.resolver import resolve

ENCODER_NAME, TEXT_NAME = "encoder_name", "text_name"
KINDS_OF_NAMES: Mapping[str, str] = {ENCODER_NAME: "whisper", TEXT_NAME: "text_encoder"}
"""Key of a checkpoint's `config.json` that names an encoder -> its kind, one of `layout.KINDS`."""


class NamedEncoder(NamedTuple):
    """An encoder on this machine."""

    name: str
    """As it was named, with `#sha256=` and the digest of its weights."""
    path: Path
    sha256: str
    """Of its weights, 64 hex digits."""


def resolve_encoder(name: str, key: str = ENCODER_NAME) -> NamedEncoder:
    """Find an encoder by its name, `models/refs.py`, and check or add the digest; `key` is one of `KINDS_OF_NAMES`.

    Raises `PreflightError` where it is missing or has another digest than its name says, `UsageError` for a name that
    cannot be meant.
    """
    ref = parse_ref(KINDS_OF_NAMES[key], name)
    found = resolve(ref)
    weights = [file for file in counted_files(found.path) if matches(file, WEIGHTS)]
    if len(weights) != 1:
        raise PreflightError(f"{found.path} holds {len(weights)} files of weights: an encoder has one")
    (sha256,) = file_sha256s(weights)
    return NamedEncoder(str(replace(ref, sha256=sha256)), found.path, sha256)
