"""Which pickles may be read. No torch.

Even where nothing in it is executed, a pickle is read by a small machine of its own: only files that are known, or that
the user vouches for, are given to it.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from mmer_ray.errors import PreflightError
from mmer_ray.models.catalogue import PICKLES
from mmer_ray.models.digests import file_sha256s

TRUST_OPTION = "--trust-checkpoint"
SAFE_SUFFIX = ".safetensors"


def require_trusted(file: Path, trusted: Collection[Path] = ()) -> None:
    """Raise `PreflightError` for a pickle that is neither known by its digest nor among the `trusted` files.

    Raises `OSError` where it cannot be read.
    """
    if file.suffix == SAFE_SUFFIX or any(file.resolve() == one.resolve() for one in trusted):
        return
    (digest,) = file_sha256s([file])
    if digest not in PICKLES:
        raise PreflightError(
            f"{file} is a pickle, which may run code, and its SHA-256 {digest} is not known. Remedies: give the same "
            f"weights as {SAFE_SUFFIX}; or, if you trust where it comes from, {TRUST_OPTION} {file}"
        )
