"""What must be in order before a job starts: looked at before Ray starts and before anything is computed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mmer_ray.audio.decode import Decoder
from mmer_ray.errors import AudioError, PreflightError
from mmer_ray.lake.store import Lake

MIN_FREE_BYTES = 200 << 20
"""An hour of speech leaves about 2 MB in the lake; a disk with less than this is about to fail the job."""


def require_room(lake: Lake) -> None:
    """Raise `PreflightError` unless the lake's folder can be made, written, and holds `MIN_FREE_BYTES` more."""
    if not lake.is_local:
        return
    folder = Path(lake.address)
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not existing.is_dir():
        raise PreflightError(f"the lake {folder} would lie in {existing}, which is a file; name another folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise PreflightError(f"{existing} cannot be written, so the lake {folder} cannot; name another folder")
    free_bytes = shutil.disk_usage(existing).free
    if free_bytes < MIN_FREE_BYTES:
        have = f"{existing} has {free_bytes >> 20} MB free, a lake needs {MIN_FREE_BYTES >> 20} MB"
        raise PreflightError(f"{have}; free some or name another folder")


def isolation_warning(decoder: Decoder) -> str | None:
    """One line where the decoders of this host can reach the network; None where they cannot.

    Raises `PreflightError` where no decoder starts at all.
    """
    try:
        refusal = decoder.network_isolation()
    except AudioError as exc:
        raise PreflightError(f"the decoder does not start: {exc.message}; its stderr says why") from exc
    if refusal is None:
        return None
    return (
        f"recordings are decoded with access to the network ({refusal}): "
        "allow unprivileged user namespaces on this host to take it away"
    )
