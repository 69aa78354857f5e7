"""One job: what it is called and everything that decides its results."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from mmer_ray.profiles import Profile

VERSIONED = ("mmer_ray", "torch", "transformers", "faster-whisper", "av", "ray", "deltalake", "duckdb", "pyarrow")
"""Packages whose versions a run records."""

REVISION_VARIABLE = "MMER_GIT_REVISION"
"""Set in images, which hold no checkout."""


@dataclass(frozen=True, slots=True)
class Run:
    """A job as the table `runs` keeps it. Runs sort by time of start."""

    run_id: str
    started_at: datetime
    fingerprints: Mapping[str, str]
    """Stage -> fingerprint, for every stage of `tables.FINGERPRINT_STAGES`."""
    profile: str = ""
    options: str = "{}"
    """The whole profile as JSON."""
    model_digests: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    git_revision: str | None = None
    gpus: Mapping[str, float] = field(default_factory=dict)
    """Stage -> GPUs that it holds while it works; stages on CPUs are left out."""


def begin_run(
    profile: Profile,
    fingerprints: Mapping[str, str],
    model_digests: Mapping[str, str] | None = None,
    gpus: Mapping[str, float] | None = None,
) -> Run:
    """A run that starts now, with the versions of this process. Nothing is written."""
    now = datetime.now(UTC)
    return Run(
        # Sortable by time; the tail keeps two hosts that start within a second apart.
        run_id=f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}",
        started_at=now,
        fingerprints=dict(fingerprints),
        profile=profile.name,
        options=profile.model_dump_json(),
        model_digests=dict(model_digests or {}),
        versions=_versions(),
        git_revision=_git_revision(),
        gpus=dict(gpus or {}),
    )


def _versions() -> dict[str, str]:
    found = {}
    for package in VERSIONED:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _git_revision() -> str | None:
    """The checkout that this package runs from; None when it is installed from a wheel."""
    if given := os.environ.get(REVISION_VARIABLE):
        return given
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():
        return None
    # Without optional locks: asking must not get in the way of somebody's commit.
    command = ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
