"""Bringing models of the hub to this machine: the only place that downloads one. No torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mmer_ray.errors import PreflightError
from mmer_ray.models.catalogue import HUB, NamedModel, remedies
from mmer_ray.models.layout import COUNTED, counted_patterns
from mmer_ray.models.model_places import hub_cache
from mmer_ray.models.refs import ModelRef
from mmer_ray.models.resolver import MissingModelError, ResolvedModel, resolve
from mmer_ray.models.telemetry import silence_telemetry

Download = Callable[[str, str, Sequence[str]], None]
"""Repository, commit and patterns of file names -> these files, in the hub's local cache. Raises `PreflightError`."""


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
    download = download or download_from_hub
    if ref.named is not None:
        return _fetch_named(ref, ref.named, download)
    if ref.revision is None:
        return Fetched(resolve(ref), downloaded=False)
    patterns = counted_patterns(ref.kind)
    if _is_whole_in_cache(ref.address, ref.revision, patterns):
        with suppress(MissingModelError):
            return Fetched(resolve(ref), downloaded=False)
    download(ref.address, ref.revision, patterns)
    return Fetched(resolve(ref), downloaded=True)


def _fetch_named(ref: ModelRef, model: NamedModel, download: Download) -> Fetched:
    """A model of the catalogue: what any of its places has here will do, else its files of the hub are downloaded."""
    try:
        return Fetched(resolve(ref), downloaded=False)
    except MissingModelError:
        if model.hub is None:
            raise
    try:
        download(model.hub.repository, model.hub.revision, list(model.hub.files or model.files))
    except PreflightError as exc:
        raise PreflightError(f"{exc}; or {'; or '.join(remedies(model))}") from exc
    return Fetched(resolve(ref), downloaded=True)


def download_from_hub(repository: str, commit: str, patterns: Sequence[str] = COUNTED) -> None:
    """Download files of a repository with huggingface_hub into its cache: by default those that change answers.

    Raises `PreflightError`: for a gated repository with the page where its licence is accepted.
    """
    silence_telemetry()
    # The library takes a second to import.
    import httpx
    from huggingface_hub.errors import GatedRepoError

    try:
        _snapshot(repository, commit, patterns, local_files_only=False)
    except GatedRepoError as exc:
        raise PreflightError(
            f"{repository} is gated. Remedies: accept its licence at {HUB}/{repository} and set HF_TOKEN to a token of "
            "that account"
        ) from exc
    except (OSError, ValueError, httpx.HTTPError) as exc:
        raise PreflightError(
            f"{repository}@{commit} cannot be downloaded: {' '.join(str(exc).split())}. Remedies: try again where the "
            "hub can be reached (HF_HUB_OFFLINE must not be set; HF_TOKEN for a closed repository); or run "
            f"`mmer models fetch` on such a machine and copy {hub_cache()} here; or name a folder that holds the model"
        ) from exc


def _is_whole_in_cache(repository: str, commit: str, patterns: Sequence[str]) -> bool:
    """Whether the hub's cache holds every counted file: a download may have been interrupted."""
    silence_telemetry()
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        _snapshot(repository, commit, patterns, local_files_only=True)
    except LocalEntryNotFoundError:
        return False
    return True


def _snapshot(repository: str, commit: str, patterns: Sequence[str], *, local_files_only: bool) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download(
        repository,
        revision=commit,
        cache_dir=hub_cache(),
        allow_patterns=list(patterns),
        # Patterns of the library match inside folders too; a model is one folder, unless its patterns name others.
        ignore_patterns=None if any("/" in pattern for pattern in patterns) else ["*/*"],
        local_files_only=local_files_only,
    )
