"""Folders of models that are made on this machine, once: joined from parts, or converted from a pickle. No torch.

They lie in `MMER_MODEL_CACHE`, else in `$XDG_CACHE_HOME/mmer_ray/models`, one folder a model, named by the digest of
what it was made from. A folder appears whole or not at all, so any number of processes may make the same one.
"""

from __future__ import annotations

import hashlib
import os
import pkgutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mmer_ray.errors import PreflightError
from mmer_ray.models.catalogue import NamedModel, wrong_digest
from mmer_ray.models.digests import cache_folder, file_sha256s

CACHE_VARIABLE = "MMER_MODEL_CACHE"
SUMS_NAME = "SHA256SUMS"
"""Digests of a made folder's files, as `sha256sum` writes and checks them."""
NAME_DIGITS = 16


class Part(NamedTuple):
    """A file of a model, as a place brings it."""

    name: str
    files: tuple[Path, ...]
    """Their bytes, one after another, are its own."""
    sha256: str
    """What it must have, 64 hex digits."""


def model_cache() -> Path:
    """Where made models lie. Raises `PreflightError` for a user without a home."""
    try:
        cache = os.environ.get(CACHE_VARIABLE)
        return Path(cache).expanduser() if cache else cache_folder() / "models"
    except RuntimeError as exc:
        raise PreflightError(f"this user has no home folder: set {CACHE_VARIABLE} to a folder for models") from exc


def made_folder(model: NamedModel) -> Path:
    """Where a model lies once it is made."""
    version = "" if model.conversion is None else f"-v{model.conversion_version}"
    return model_cache() / f"{model.name}-{model.sha256[:NAME_DIGITS]}{version}"


def make(model: NamedModel, parts: Sequence[Part]) -> Path:
    """Make a model's folder from what its places bring, checked before it is used; another process may be first.

    Raises `PreflightError` for parts that are not the model, and for a cache that cannot be written.
    """
    target = made_folder(model)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{model.name}-", dir=target.parent) as unfinished:
            folder = Path(unfinished) / "model"
            folder.mkdir()
            _fill(folder, model, parts)
            _write_sums(folder)
            folder.rename(target)
    except OSError as exc:
        # Another process was faster: a folder with files in it is never replaced.
        if target.is_dir():
            return target
        raise PreflightError(
            f"the {model.kind} model {model.name} cannot be made in {target.parent}: {exc}. Remedies: free some space; "
            f"or set {CACHE_VARIABLE} to a folder that can be written"
        ) from exc
    return target


def sums_of(folder: Path) -> dict[str, str]:
    """Name of a file -> SHA-256, as they were when the folder was made. Raises `OSError` where they are missing."""
    lines = (folder / SUMS_NAME).read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _fill(folder: Path, model: NamedModel, parts: Sequence[Part]) -> None:
    if model.conversion is None:
        for part in parts:
            _require(model, part, _join(part.files, folder / part.name))
        return
    (part,) = parts
    (source,) = part.files
    # Before a byte of the pickle is read as one.
    _require(model, part, file_sha256s([source])[0])
    pkgutil.resolve_name(model.conversion)(source, folder)


def _join(files: Sequence[Path], target: Path) -> str:
    """Write files one after another; returns the SHA-256 of the whole."""
    sha256 = hashlib.sha256()
    with target.open("wb") as joined:
        for file in files:
            with file.open("rb") as part:
                while block := part.read(1 << 20):
                    sha256.update(block)
                    joined.write(block)
    return sha256.hexdigest()


def _require(model: NamedModel, part: Part, found: str) -> None:
    if found != part.sha256:
        raise PreflightError(wrong_digest(model, " + ".join(map(str, part.files)), found, part.sha256))


def _write_sums(folder: Path) -> None:
    files = sorted(file for file in folder.iterdir() if file.is_file())
    lines = [f"{digest}  {file.name}\n" for digest, file in zip(file_sha256s(files), files, strict=True)]
    (folder / SUMS_NAME).write_text("".join(lines), encoding="utf-8")
