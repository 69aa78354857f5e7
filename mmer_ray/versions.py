"""Which code made a result: the versions of packages and the revision of the checkout."""

from __future__ import annotations

import os
import subprocess
from importlib import metadata
from pathlib import Path

VERSIONED = ("mmer_ray", "torch", "transformers", "faster-whisper", "av", "ray", "deltalake", "duckdb", "pyarrow")
"""Packages whose versions are kept."""

REVISION_VARIABLE = "MMER_GIT_REVISION"
"""Set in images, which hold no checkout."""


def package_versions() -> dict[str, str]:
    """Name of a package -> its version, of those that are installed."""
    found = {}
    for package in VERSIONED:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def code_revision() -> str | None:
    """The commit of the checkout that this package runs from, 40 hex digits, `-dirty` where files of it were changed.

    None when it is installed from a wheel and nobody says.
    """
    if given := os.environ.get(REVISION_VARIABLE):
        return given
    checkout = Path(__file__).resolve().parents[1]
    if not (checkout / ".git").exists():
        return None
    # Without optional locks: asking must not get in the way of somebody's commit.
    command = ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
