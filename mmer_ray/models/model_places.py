"""Where the files of models lie on this machine: installed packages, the hub's cache, our own. No torch, no network.

The hub's cache is laid out as `models--OWNER--NAME/snapshots/COMMIT` (huggingface_hub, "Understand caching").
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from mmer_ray.models.catalogue import InPackages, NamedModel, OnHub
from mmer_ray.models.model_cache import Part, made_folder, make


def hub_cache() -> Path:
    """Where huggingface_hub keeps what it downloads, by the same environment variables."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache).expanduser()
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("HF_HOME") or f"{caches}/huggingface").expanduser() / "hub"


def hub_snapshot(repository: str, commit: str) -> Path:
    """Where the hub's cache keeps a repository at a commit, whether or not it is there."""
    return hub_cache() / f"models--{repository.replace('/', '--')}" / "snapshots" / commit


def package_folders(name: str) -> list[Path]:
    """The folders of an installed package, which is not imported: its code is not run. Empty where there is none."""
    spec = find_spec(name)
    return [] if spec is None else [Path(folder) for folder in spec.submodule_search_locations or ()]


def place_of(model: NamedModel) -> str | None:
    """In words, where a model of the catalogue is taken from; None where it is not on this machine."""
    if made_folder(model).is_dir():
        return "model cache"
    return next((str(place) for place in model.places if _parts_in(place, model)), None)


def folder_of(model: NamedModel) -> Path | None:
    """The folder of a model of the catalogue, made in the model cache where it needs joining or converting.

    None where no place has all of its files. Only what is joined or converted here is checked here. Raises
    `PreflightError` as `model_cache.make`.
    """
    if (made := made_folder(model)).is_dir():
        return made
    parts = next((parts for place in model.places if (parts := _parts_in(place, model))), None)
    if parts is None:
        return None
    folders = {file.parents[part.name.count("/")] for part in parts for file in part.files}
    if model.conversion is None and len(folders) == 1 and all(len(part.files) == 1 for part in parts):
        return folders.pop()
    return make(model, parts)


def _parts_in(place: InPackages | OnHub, model: NamedModel) -> list[Part] | None:
    """The files of a model as one place has them; None where one of them is missing there."""
    folders = [hub_snapshot(place.repository, place.revision)] if isinstance(place, OnHub) else _all_folders(place)
    wanted = place.files or model.files
    parts = [Part(name, tuple(_parts_of(name, folders)), digest) for name, digest in wanted.items()]
    return parts if all(part.files for part in parts) else None


def _all_folders(place: InPackages) -> list[Path]:
    """The folders of all packages of a place; empty where one is not installed."""
    split = [folder.partition("/") for folder in place.folders]
    found = [[root / inside for root in package_folders(name)] for name, _, inside in split]
    return [folder for folders in found for folder in folders] if all(found) else []


def _parts_of(name: str, folders: list[Path]) -> list[Path]:
    """A file, or its parts in order; empty where there is neither."""
    whole = [folder / name for folder in folders if (folder / name).is_file()]
    if whole:
        return whole[:1]
    parts: list[Path] = []
    # A part that is missing ends the file early, which its digest shows.
    while found := [file for folder in folders if (file := folder / f"{name}.part{len(parts) + 1}").is_file()]:
        parts.append(found[0])
    return parts
