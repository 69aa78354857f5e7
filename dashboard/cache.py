"""Where the server keeps files of its own: waveforms, and what lies there without a name while it is sent."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import IO

CACHE_VARIABLE = "MMER_DASHBOARD_CACHE"
"""The folder of waveforms; else it is in the user's cache."""


def cache_folder() -> Path:
    """Where waveforms are kept."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (base if base.is_absolute() else Path.home() / ".cache") / "mmer_ray" / "dashboard"
    except RuntimeError:
        # A user without a home keeps nothing for long.
        return Path(tempfile.gettempdir()) / f"mmer_ray-dashboard-{os.getuid()}"


def unnamed_file(folder: Path) -> IO[bytes]:
    """A file that nobody can open and that is gone when it is closed: in this folder or, where nothing can be written
    there, among the temporary files of the system. Raises `OSError` where neither can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return tempfile.TemporaryFile(dir=folder)
    except OSError:
        return tempfile.TemporaryFile()
