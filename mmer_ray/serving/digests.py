"""Digests of what a request asks: equal ones ask the same."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from mmer_ray.errors import PreflightError
from mmer_ray.profiles import STAGES, Profile
from mmer_ray.serving.upload import Form
from mmer_ray.stages.keys import keys_of


def form_digest(route: str, form: Form) -> str:
    """Digest of what a request asks: 64 hex digits. Not of files' names. Reads files: not for the loop."""
    parts = [route.encode()]
    for name, text in form.fields:
        parts += [b"field", _bytes_of(name), _bytes_of(text)]
    for upload in form.files:
        parts += [b"file", _bytes_of(upload.field), sound_digest(upload.sound)]
    return digest_of(*parts)


def answers_digest(profile: Profile) -> bytes:
    """Digest of what a profile's answers hang on: the keys of its stages; its settings where a model is not on this
    machine.

    Raises `UsageError` for a model's name that cannot be meant.
    """
    try:
        made_by = asdict(keys_of(profile))
        del made_by["limits"]
    except PreflightError:
        made_by = profile.model_dump(mode="json", include={"vad", *STAGES})
    return hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).digest()


def digest_of(*parts: bytes) -> str:
    """SHA-256 of several parts, hex. Where one ends and the next begins counts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def sound_digest(sound: bytes | Path) -> bytes:
    """SHA-256 of a sound's bytes. Reads a file: not for the loop."""
    if not isinstance(sound, Path):
        return hashlib.sha256(sound).digest()
    with sound.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
