"""Bringing models of the hub to this machine: the only place that downloads one. No torch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from mmer_ray.errors import PreflightError
from mmer_ray.models.layout import COUNTED
from mmer_ray.models.refs import ModelRef
from mmer_ray.models.resolver import MissingModelError, ResolvedModel, hub_cache, resolve

Download = Callable[[str, str], None]
"""Repository and commit -> files that change answers, in the hub's local cache. Raises `PreflightError`."""


@dataclass(frozen=True)
class Fetched:
    """A model that is there now."""

    model: ResolvedModel
    downloaded: bool
    """False: it was there already."""


def fetch(ref: ModelRef, download: Download | None = None) -> Fetched:
    """Make sure that a model is on this machine; one of the hub is downloaded at its commit where it is not.

    Raises `PreflightError` where it cannot be had, or is not what its name says.
    """
    if ref.revision is None:
        return Fetched(resolve(ref), downloaded=False)
    if _is_whole_in_cache(ref.address, ref.revision):
        with suppress(MissingModelError):
            return Fetched(resolve(ref), downloaded=False)
    (download or download_from_hub)(ref.address, ref.revision)
    return Fetched(resolve(ref), downloaded=True)


def download_from_hub(repository: str, commit: str) -> None:
    """Download a repository's counted files with huggingface_hub into its cache; notes and pickles stay there."""
    # The library takes a second to import.
    import httpx

    try:
        _snapshot(repository, commit, local_files_only=False)
    except (OSError, ValueError, httpx.HTTPError) as exc:
        raise PreflightError(
            f"{repository}@{commit} cannot be downloaded: {exc}. Remedies: try again where the hub can be reached "
            "(HF_HUB_OFFLINE must not be set; HF_TOKEN for a closed repository); or run `mmer models fetch` on such a "
            f"machine and copy {hub_cache()} here; or name a folder that holds the model"
        ) from exc


def _is_whole_in_cache(repository: str, commit: str) -> bool:
    """Whether the hub's cache holds every counted file: a download may have been interrupted."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        _snapshot(repository, commit, local_files_only=True)
    except LocalEntryNotFoundError:
        return False
    return True


def _snapshot(repository: str, commit: str, *, local_files_only: bool) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download(
        repository,
        revision=commit,
        cache_dir=hub_cache(),
        allow_patterns=list(COUNTED),
        # Patterns of the library match inside folders too; a model is one folder here.
        ignore_patterns=["*/*"],
        local_files_only=local_files_only,
    )
